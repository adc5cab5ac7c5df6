# The target `doxygen`: html/index.html in the build folder, the reference of all public names, with the documents.
find_package(Doxygen REQUIRED)
configure_file(cmake/doxygen/Doxyfile.in Doxyfile @ONLY)
add_custom_target(doxygen
  COMMAND Doxygen::doxygen ${PROJECT_BINARY_DIR}/Doxyfile
  WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
