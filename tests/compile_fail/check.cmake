# cmake -DSOURCE=<file> -DCOMMAND=<compiler and flags> -P check.cmake
# A file with a line `// expect: <regular expression>` must be refused, with that text; a file without must compile.
# With `// expect only: ` that must be the only error, but for the one at which the compiler stops.
file(STRINGS ${SOURCE} expected REGEX "^// expect( only)?: ")
if(expected MATCHES "^// expect only: ")
  set(only TRUE)
endif()
string(REGEX REPLACE "// expect( only)?: " "" expected "${expected}")

execute_process(COMMAND ${COMMAND} -fsyntax-only ${SOURCE} RESULT_VARIABLE status ERROR_VARIABLE messages OUTPUT_QUIET)

if(expected STREQUAL "")
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "must compile, and was refused:\n${messages}")
  endif()
elseif(status EQUAL 0)
  message(FATAL_ERROR "must be refused, and compiled")
elseif(NOT messages MATCHES "${expected}")
  message(FATAL_ERROR "was refused without the text `${expected}`:\n${messages}")
elseif(only)
  string(REGEX MATCHALL "[^\n]* error: [^\n]*" errors "${messages}")
  list(FILTER errors EXCLUDE REGEX "stopped by the error above")
  list(LENGTH errors count)
  if(NOT count EQUAL 1)
    message(FATAL_ERROR "was refused with ${count} errors instead of one:\n${messages}")
  endif()
endif()
