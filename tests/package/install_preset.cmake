# cmake -DSOURCE=<dir> -DGENERATOR=... -DCOMPILER=... -DEigen3_DIR=<dir> -DINSTALLED=<prefix> -DSCRATCH=<dir>
#   -P install_preset.cmake
# The preset `install` takes no package but Eigen and no network, and installs the same files as the tree of the tests.
set(packages CLI11 GTest Threads ZLIB benchmark)
list(TRANSFORM packages REPLACE "(.+)" "-DCMAKE_DISABLE_FIND_PACKAGE_\\1=ON" OUTPUT_VARIABLE without)
execute_process(
  COMMAND ${CMAKE_COMMAND} --preset install -G ${GENERATOR} -B ${SCRATCH}/build
    -DCMAKE_CXX_COMPILER=${COMPILER} -DEigen3_DIR=${Eigen3_DIR} -DFETCHCONTENT_FULLY_DISCONNECTED=ON ${without}
  WORKING_DIRECTORY ${SOURCE} COMMAND_ERROR_IS_FATAL ANY)
set(TREE ${SCRATCH}/build)
set(PREFIX ${SCRATCH}/prefix)
include(${CMAKE_CURRENT_LIST_DIR}/install.cmake)

file(GLOB_RECURSE expected RELATIVE ${INSTALLED} ${INSTALLED}/*)
file(GLOB_RECURSE installed RELATIVE ${PREFIX} ${PREFIX}/*)
if(NOT installed STREQUAL expected)
  message(FATAL_ERROR "expected ${expected}\ngot ${installed}")
endif()
