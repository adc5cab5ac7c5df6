# cmake -DREADME=README.md -DSOURCES=a.cpp,b.cpp -DPROGRAM=quickstart -P check_readme.cmake
#
# Every C++ snippet of the README is one of SOURCES, to the letter, and each of them stands there; what PROGRAM prints
# stands there too.
file(READ ${README} readme)

string(REPLACE "," ";" SOURCES "${SOURCES}")
foreach(source IN LISTS SOURCES)
  file(READ ${source} text)
  string(FIND "${readme}" "```cpp\n${text}```" position)
  if(position EQUAL -1)
    message(SEND_ERROR "${source} does not stand in ${README} as it is")
  endif()
endforeach()

string(REGEX MATCHALL "```cpp" snippets "${readme}")
list(LENGTH snippets snippets)
list(LENGTH SOURCES sources)
if(NOT snippets EQUAL sources)
  message(SEND_ERROR "${README} has ${snippets} C++ snippets, of which ${sources} are compiled")
endif()

execute_process(COMMAND ${PROGRAM} OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)
string(FIND "${readme}" "```text\n${output}```" position)
if(position EQUAL -1)
  message(SEND_ERROR "${PROGRAM} does not print what ${README} says; it prints\n${output}")
endif()
