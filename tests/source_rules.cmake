# Rules that no compiler checks.
# cmake -DINCLUDE_DIR=<dir> -DHEADERS=<the library's list> -DTESTS_DIR=<dir> -DTESTS=<the tests' list> -DVERSION=<x.y.z>
#   -P source_rules.cmake
set(errors "")

# A header includes its own room or one on a lower floor, and none the umbrella. core/ and walk/ stand side by side, and so
# do layers/ and whitening/.
set(rooms base core walk kernels functions layers whitening adapters)
set(floors 0 1 1 2 3 4 4 5)
function(floor_of room result)
  list(FIND rooms "${room}" index)
  if(index EQUAL -1)
    set(${result} -1 PARENT_SCOPE)
  else()
    list(GET floors ${index} floor)
    set(${result} ${floor} PARENT_SCOPE)
  endif()
endfunction()
file(GLOB_RECURSE headers ${INCLUDE_DIR}/*.hpp)
foreach(header IN LISTS headers)
  file(RELATIVE_PATH address ${INCLUDE_DIR}/batchnorm ${header})
  string(REGEX MATCH "^[^/]+" room ${address})
  floor_of(${room} floor)
  if(floor EQUAL -1 AND NOT address MATCHES "^[a-z_]+\\.hpp$")
    string(APPEND errors "  ${address}: no such room in the design (${rooms})\n")
  endif()

  file(STRINGS ${header} includes REGEX "^ *# *include")
  foreach(include IN LISTS includes)
    if(include MATCHES "<batchnorm/([a-z_]+)/")
      set(included ${CMAKE_MATCH_1})
      floor_of(${included} included_floor)
      if(NOT floor EQUAL -1 AND NOT included STREQUAL room AND NOT included_floor LESS floor)
        string(APPEND errors "  ${address}: ${include}: ${included}/ does not stand below ${room}/\n")
      endif()
    elseif(include MATCHES "batchnorm/batchnorm.hpp")
      string(APPEND errors "  ${address}: ${include}: the umbrella is for users\n")
    elseif(include MATCHES "\"")
      string(APPEND errors "  ${address}: ${include}: write <batchnorm/...>\n")
    elseif(include MATCHES "unsupported/")
      string(APPEND errors "  ${address}: ${include}: the library costs Eigen/Core only\n")
    endif()
  endforeach()

  file(STRINGS ${header} defines REGEX "^ *# *define +EIGEN_")
  if(defines)
    string(APPEND errors "  ${address}: ${defines}: Eigen's macros belong to the user\n")
  endif()
endforeach()

# Every header is in the list that is installed and verified.
list(TRANSFORM HEADERS REPLACE "^.*/include/" "${INCLUDE_DIR}/")
set(unlisted ${headers})
list(REMOVE_ITEM unlisted ${HEADERS})
foreach(header IN LISTS unlisted)
  string(APPEND errors "  ${header}: not in the FILE_SET of CMakeLists.txt\n")
endforeach()

# Every test file is in the list that is built (that of the examples may be switched off).
file(GLOB_RECURSE tests ${TESTS_DIR}/*_test.cpp)
if(NOT TESTS MATCHES "/examples/")
  list(FILTER tests EXCLUDE REGEX "^${TESTS_DIR}/examples/")
endif()
list(REMOVE_ITEM tests ${TESTS})
foreach(test IN LISTS tests)
  string(APPEND errors "  ${test}: not in tests/CMakeLists.txt\n")
endforeach()

# The version macros say what project(VERSION) says.
file(STRINGS ${INCLUDE_DIR}/batchnorm/batchnorm.hpp macros REGEX "^#define BATCHNORM_VERSION_(MAJOR|MINOR|PATCH) +[0-9]+")
string(REGEX REPLACE "#define BATCHNORM_VERSION_[A-Z]+ +" "" numbers "${macros}")
list(JOIN numbers "." macro_version)
if(NOT macro_version STREQUAL VERSION)
  string(APPEND errors "  batchnorm.hpp: BATCHNORM_VERSION_* say '${macro_version}', project() says '${VERSION}'\n")
endif()

if(errors)
  message(FATAL_ERROR "\n${errors}")
endif()
