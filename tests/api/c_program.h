/* What a program in C does with fovea.h. */
#ifndef FOVEA_TESTS_API_C_PROGRAM_H
#define FOVEA_TESTS_API_C_PROGRAM_H

#ifdef __cplusplus
extern "C" {
#endif

/* Opens `model` and uses every function; `expected` is what it says to the `count` lines with a beam of 3.
 * Returns the number of the source line of the first check that failed; 0: none did. */
int use_fovea_from_c(const char* model, const char* const* lines, const char* const* expected, int count);

#ifdef __cplusplus
}
#endif

#endif
