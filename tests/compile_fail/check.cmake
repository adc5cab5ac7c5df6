# cmake -DSOURCE=<file> -DCOMMAND=<compiler and flags> -P check.cmake
# A file with a line `// expect: <regular expression>` must be refused, with that text; a file without must compile.
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
