# Writes OUTPUT, a header that holds the commit the sources stand at; touches it only when the answer changes.
cmake_minimum_required(VERSION 3.25)
find_program(GIT git)
set(commit "")
if(GIT)
  execute_process(COMMAND ${GIT} --no-optional-locks describe --always --tags --dirty=+changes
                  WORKING_DIRECTORY ${SOURCE} OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#define FOVEA_COMMIT \"@commit@\"\n" @ONLY)
