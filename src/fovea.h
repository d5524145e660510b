/*
 * fovea from C: translating with a model directory. The functions of fovea/api/translator.h, which says more.
 *
 *     fovea_translator* translator;
 *     if (fovea_open("models/tatoeba-en-de", NULL, &translator) != FOVEA_OK)
 *       return fprintf(stderr, "%s\n", fovea_error()), 1;
 *     const char* line = "Two men are riding bicycles.";
 *     fovea_translations* found;
 *     if (fovea_translate(translator, &line, 1, NULL, &found) == FOVEA_OK)
 *       puts(fovea_text(found, 0, 0));
 *     fovea_translations_free(found);
 *     fovea_close(translator);
 *
 * Texts are UTF-8 that ends in a NUL byte. Every function may be called from several threads at once, with
 * one translator too. Nothing is printed, and no C++ exception leaves a function.
 */
#ifndef FOVEA_H
#define FOVEA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What became of a call. */
typedef enum fovea_status {
  FOVEA_OK = 0,
  FOVEA_BUG = 1,    /* a fault of ours */
  FOVEA_USAGE = 2,  /* an argument or option out of range */
  FOVEA_DATA = 3,   /* the caller's text */
  FOVEA_MODEL = 4,  /* anything inside a model directory */
  FOVEA_MACHINE = 5 /* memory, threads, files */
} fovea_status;

/* What went wrong in the last call of this thread that did not return FOVEA_OK, on one line; empty if none
 * has failed. Valid until the next call in this thread. */
const char* fovea_error(void);

/* Such as "0.1.0". */
const char* fovea_version(void);

/* Options begin with their own size, so that a program and a library of different versions understand each
 * other; what is 0 or NULL is not given:
 *     fovea_options options = FOVEA_OPTIONS;
 *     options.beam = 4;
 */
typedef struct fovea_model_options {
  size_t size;           /* sizeof(fovea_model_options) */
  const char* weights;   /* "f32", "bf16" or "int8"; NULL: int8 if they are stored so, else f32 */
  int32_t threads;       /* in all; 0: as many as the machine has */
  int32_t workers;       /* among how many they are parted for many lines; 0: a thread each */
  const char* shortlist; /* a file that `fovea shortlist` wrote for the model; NULL: none */
} fovea_model_options;

typedef struct fovea_options {
  size_t size;   /* sizeof(fovea_options) */
  int32_t beam;  /* hypotheses kept alive; 1 is greedy; 0: what the model's makers found best */
  int32_t nbest; /* hypotheses returned; 0: 1 */
  int32_t min_length, max_length; /* tokens */
  int32_t batch;                  /* lines that a worker translates at once, at most; 0: 64 */
  int32_t max_tokens;             /* a longer line is cut and joined again; 0: 128 */
  int32_t no_repeat_ngram;        /* no so many tokens in a row occur twice */
  int32_t top_k;                  /* draw among so many; */
  double temperature, top_p;      /* any of the three: draw in place of searching */
  uint64_t seed;                  /* of drawing; 0: 1 */
  double repetition_penalty;      /* above 1: what has been said becomes less likely */
  const double* length_penalty;   /* exponent of the length that scores are divided by */
  int32_t tokens;                 /* not 0: keep tokens and their scores */
  int32_t attention;              /* not 0: keep those and where the model looked */
} fovea_options;

#ifdef __cplusplus
#define FOVEA_MODEL_OPTIONS \
  fovea_model_options { sizeof(fovea_model_options), nullptr, 0, 0, nullptr }
#define FOVEA_OPTIONS \
  fovea_options { sizeof(fovea_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, nullptr, 0, 0 }
#else
#define FOVEA_MODEL_OPTIONS \
  { .size = sizeof(fovea_model_options) }
#define FOVEA_OPTIONS \
  { .size = sizeof(fovea_options) }
#endif

/* A model that translates. */
typedef struct fovea_translator fovea_translator;

/* Opens a model directory; options may be NULL. *translator is NULL if it fails. */
fovea_status fovea_open(const char* directory, const fovea_model_options* options,
                        fovea_translator** translator);
/* No call may be under way. NULL is no mistake. */
void fovea_close(fovea_translator* translator);

/* Translations of some lines. */
typedef struct fovea_translations fovea_translations;

/* Translates `count` lines; options may be NULL. *translations is NULL if it fails. */
fovea_status fovea_translate(const fovea_translator* translator, const char* const* lines, size_t count,
                             const fovea_options* options, fovea_translations** translations);
void fovea_translations_free(fovea_translations* translations);

/* As many as there were lines. */
size_t fovea_count(const fovea_translations* translations);
/* Of line `line`: how many hypotheses there are, at least one; hypothesis 0 is the best. What follows is NULL
 * or 0 where there is none; texts and arrays live as long as the translations. */
size_t fovea_hypotheses(const fovea_translations* translations, size_t line);
const char* fovea_text(const fovea_translations* translations, size_t line, size_t hypothesis);
double fovea_score(const fovea_translations* translations, size_t line, size_t hypothesis);
/* Tokens of a hypothesis, its end of sentence included, if they were asked for. */
size_t fovea_tokens(const fovea_translations* translations, size_t line, size_t hypothesis);
const char* fovea_token(const fovea_translations* translations, size_t line, size_t hypothesis, size_t token);
const float* fovea_token_scores(const fovea_translations* translations, size_t line, size_t hypothesis);
/* Tokens of a line, and [fovea_tokens, fovea_source_tokens] where the model looked, if that was asked for. */
size_t fovea_source_tokens(const fovea_translations* translations, size_t line);
const char* fovea_source_token(const fovea_translations* translations, size_t line, size_t token);
const float* fovea_attention(const fovea_translations* translations, size_t line, size_t hypothesis);

/* The next line, or NULL after the last; valid until the next call. It must not wait for long. */
typedef const char* (*fovea_next)(void* user);
/* Takes the translation of line `line`, counted from 0, in order: that of line 0 of `translation`, which
 * lives until it returns. Returns 0 to go on. */
typedef int (*fovea_deliver)(void* user, size_t line, const fovea_translations* translation);
/* Translates any number of lines in bounded memory. The two are called from threads of the translator's, each
 * by one at a time, though perhaps both at once. */
fovea_status fovea_translate_lines(const fovea_translator* translator, fovea_next next, fovea_deliver deliver,
                                   void* user, const fovea_options* options);

/* Takes a piece of text as soon as it is sure. Returns 0 to go on; else the translation ends there. */
typedef int (*fovea_on_text)(void* user, const char* text);
/* Translates a line and tells its text as it comes: all pieces together are the translation. */
fovea_status fovea_stream(const fovea_translator* translator, const char* line, fovea_on_text on_text,
                          void* user, const fovea_options* options);

/* How probable the model finds `count` translations: log-probabilities in nats, end of sentence included;
 * -infinity for what is too long for it. */
fovea_status fovea_score_pairs(const fovea_translator* translator, const char* const* sources,
                               const char* const* targets, size_t count, double* log_probabilities);

#ifdef __cplusplus
}
#endif

#endif
