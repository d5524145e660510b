#include "tests/api/c_program.h"

#include <math.h>
#include <string.h>

#include "fovea.h"

#define CHECK(condition) \
  if (!(condition)) return __LINE__

static int check_mistakes(const char* model) {
  fovea_translator* translator = (fovea_translator*)&translator;
  fovea_model_options options = FOVEA_MODEL_OPTIONS;
  struct {
    fovea_model_options known;
    int later;
  } newer;
  CHECK(fovea_open("/nowhere/at/all", NULL, &translator) == FOVEA_MODEL);
  CHECK(translator == NULL);
  CHECK(strstr(fovea_error(), "/nowhere/at/all: there is no such folder") != NULL);
  CHECK(fovea_open(NULL, NULL, &translator) == FOVEA_USAGE);
  CHECK(strcmp(fovea_error(), "directory: is NULL") == 0);
  CHECK(fovea_open(model, NULL, NULL) == FOVEA_USAGE);
  options.weights = "float";
  CHECK(fovea_open(model, &options, &translator) == FOVEA_USAGE);
  CHECK(strstr(fovea_error(), "use f32, bf16 or int8") != NULL);
  options.size = 0;
  CHECK(fovea_open(model, &options, &translator) == FOVEA_USAGE);
  CHECK(strstr(fovea_error(), "begin them with FOVEA_MODEL_OPTIONS") != NULL);

  /* A program that was compiled with a later header. */
  memset(&newer, 0, sizeof newer);
  newer.known.size = sizeof newer;
  newer.later = 1;
  CHECK(fovea_open(model, &newer.known, &translator) == FOVEA_USAGE);
  CHECK(strstr(fovea_error(), "this version does not know") != NULL);
  newer.later = 0;
  CHECK(fovea_open(model, &newer.known, &translator) == FOVEA_OK);
  fovea_close(translator);
  /* And with an earlier one, which had no workers. */
  options = (fovea_model_options)FOVEA_MODEL_OPTIONS;
  options.size = offsetof(fovea_model_options, workers);
  options.workers = -77;
  CHECK(fovea_open(model, &options, &translator) == FOVEA_OK);
  fovea_close(translator);
  fovea_close(NULL);
  return 0;
}

static int check_results(const fovea_translator* translator, const char* const* lines,
                         const char* const* expected, size_t count) {
  fovea_translations* found;
  fovea_options options = FOVEA_OPTIONS;
  size_t i, t;
  options.beam = 3;
  options.nbest = 2;
  options.attention = 1;
  CHECK(fovea_translate(translator, lines, count, &options, &found) == FOVEA_OK);
  CHECK(fovea_count(found) == count);
  for (i = 0; i < count; ++i) {
    const size_t tokens = fovea_tokens(found, i, 0), sources = fovea_source_tokens(found, i);
    double sum = 0.0;
    CHECK(strcmp(fovea_text(found, i, 0), expected[i]) == 0);
    CHECK(fovea_hypotheses(found, i) == 2);
    CHECK(fovea_score(found, i, 0) >= fovea_score(found, i, 1));
    CHECK(tokens > 0 && sources > 1);
    CHECK(strcmp(fovea_source_token(found, i, sources - 1), "</s>") == 0);
    CHECK(fovea_token(found, i, 0, tokens - 1) != NULL && fovea_token(found, i, 0, tokens) == NULL);
    CHECK(fovea_token_scores(found, i, 0)[0] <= 0.0f);
    for (t = 0; t < tokens * sources; ++t) sum += fovea_attention(found, i, 0)[t];
    CHECK(fabs(sum - (double)tokens) < 1e-3 * (double)tokens);
  }
  CHECK(fovea_hypotheses(found, count) == 0 && fovea_text(found, count, 0) == NULL);
  CHECK(fovea_text(found, 0, 2) == NULL && fovea_attention(found, 0, 2) == NULL);
  fovea_translations_free(found);

  options.beam = 33;
  CHECK(fovea_translate(translator, lines, count, &options, &found) == FOVEA_USAGE);
  CHECK(found == NULL && strcmp(fovea_error(), "beam: is 33; use 1 to 32") == 0);
  CHECK(fovea_translate(translator, NULL, 0, NULL, &found) == FOVEA_OK && fovea_count(found) == 0);
  fovea_translations_free(found);
  CHECK(fovea_translate(translator, NULL, 1, NULL, &found) == FOVEA_USAGE);
  fovea_translations_free(NULL);
  return 0;
}

struct stream {
  const char* const* lines;
  const char* const* expected;
  size_t count, given, delivered, wrong;
  char told[4096];
};

static const char* next(void* user) {
  struct stream* stream = user;
  return stream->given == 100 * stream->count ? NULL : stream->lines[stream->given++ % stream->count];
}

static int deliver(void* user, size_t line, const fovea_translations* translation) {
  struct stream* stream = user;
  stream->wrong += line != stream->delivered++ ||
                   strcmp(fovea_text(translation, 0, 0), stream->expected[line % stream->count]) != 0;
  return stream->delivered == 50 * stream->count;
}

static int tell(void* user, const char* text) {
  strcat(((struct stream*)user)->told, text);
  return 0;
}

static int check_streams(const fovea_translator* translator, const char* const* lines,
                         const char* const* expected, size_t count) {
  struct stream stream = {.lines = lines, .expected = expected, .count = count};
  fovea_options options = FOVEA_OPTIONS;
  double scores[2];
  options.beam = 3;
  CHECK(fovea_translate_lines(translator, next, deliver, &stream, &options) == FOVEA_OK);
  CHECK(stream.wrong == 0 && stream.delivered == 50 * count);
  CHECK(fovea_stream(translator, lines[0], tell, &stream, &options) == FOVEA_OK);
  CHECK(strcmp(stream.told, expected[0]) == 0);
  CHECK(fovea_stream(translator, lines[0], NULL, &stream, &options) == FOVEA_USAGE);
  CHECK(fovea_score_pairs(translator, lines, expected, 2, scores) == FOVEA_OK);
  CHECK(scores[0] < 0.0 && isfinite(scores[0]) && isfinite(scores[1]));
  return 0;
}

int use_fovea_from_c(const char* model, const char* const* lines, const char* const* expected, int count) {
  fovea_translator* translator;
  fovea_model_options options = FOVEA_MODEL_OPTIONS;
  int failed;
  options.threads = 2;
  CHECK(strlen(fovea_version()) >= 5);
  if ((failed = check_mistakes(model)) != 0) return failed;
  CHECK(fovea_open(model, &options, &translator) == FOVEA_OK);
  failed = check_results(translator, lines, expected, (size_t)count);
  if (failed == 0) failed = check_streams(translator, lines, expected, (size_t)count);
  fovea_close(translator);
  return failed;
}
