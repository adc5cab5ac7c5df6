# cmake -DSOURCE=<file> -DCOMMAND=<compiler and flags> -P check.cmake
# A file with a line `// expect: <regular expression>` must be refused, with that text in the only error there is; a file
# without must compile.
file(STRINGS ${SOURCE} expected REGEX "^// expect: ")
string(REPLACE "// expect: " "" expected "${expected}")

execute_process(COMMAND ${COMMAND} -fsyntax-only ${SOURCE} RESULT_VARIABLE status ERROR_VARIABLE messages OUTPUT_QUIET)

if(expected STREQUAL "")
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "must compile, and was refused:\n${messages}")
  endif()
elseif(status EQUAL 0)
  message(FATAL_ERROR "must be refused, and compiled")
elseif(NOT messages MATCHES "${expected}")
  message(FATAL_ERROR "was refused without the text `${expected}`:\n${messages}")
endif()

# Notes and `required from` may follow the sentence, other errors may not: they would send the reader elsewhere.
if(NOT expected STREQUAL "")
  string(REPLACE ";" "," one_item "${messages}")  # a semicolon would part a list
  string(REPLACE ";" "," expected "${expected}")
  string(REGEX MATCHALL "[^\n]*[: ]error: [^\n]*" errors "${one_item}")
  list(FILTER errors EXCLUDE REGEX "stopped by the error above")
  list(LENGTH errors count)
  if(NOT count EQUAL 1)
    message(FATAL_ERROR "was refused in more than one error:\n${messages}")
  elseif(NOT errors MATCHES "${expected}")
    message(FATAL_ERROR "was refused in another error than the expected one:\n${messages}")
  endif()
endif()
