/* Translating from a C program: translate_c MODEL_DIRECTORY SENTENCE...
 *   find_package(fovea REQUIRED)
 *   target_link_libraries(program PRIVATE fovea::fovea)    # in a project of the languages C and CXX
 */
#include <fovea.h>
#include <stdio.h>

static int fail(fovea_status status) {
  fprintf(stderr, "%s\n", fovea_error());
  return status;
}

int main(int argc, char** argv) {
  fovea_translator* translator;
  fovea_translations* found;
  fovea_status status;
  fovea_model_options model = FOVEA_MODEL_OPTIONS;
  fovea_options options = FOVEA_OPTIONS;
  const char* const* sentences = (const char* const*)argv + 2;
  size_t i, n;

  if (argc < 3) return fprintf(stderr, "translate_c MODEL_DIRECTORY SENTENCE...\n"), 2;
  model.weights = "int8";
  status = fovea_open(argv[1], &model, &translator);
  if (status != FOVEA_OK) return fail(status);

  options.beam = 4;
  options.nbest = 2;
  status = fovea_translate(translator, sentences, (size_t)argc - 2, &options, &found);
  for (i = 0; status == FOVEA_OK && i < fovea_count(found); ++i)
    for (n = 0; n < fovea_hypotheses(found, i); ++n)
      printf("%.3f  %s\n", fovea_score(found, i, n), fovea_text(found, i, n));
  fovea_translations_free(found);
  fovea_close(translator);
  return status == FOVEA_OK ? 0 : fail(status);
}
