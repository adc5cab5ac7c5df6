# cmake -DSCRIPT=cmake/download_mnist.cmake -DUNPACK=unpack_gz -DSCRATCH=<folder> -P download_mnist_test.cmake
#
# The script with two small files in place of MNIST's four and folders in place of mirrors.
file(REMOVE_RECURSE "${SCRATCH}")
file(MAKE_DIRECTORY "${SCRATCH}")
set(folder "${SCRATCH}/data/mnist")
set(all "")  # name=sha256 of each file

function(make_mirror mirror)  # name=contents...
  foreach(file IN LISTS ARGN)
    string(REPLACE = ";" file ${file})
    list(GET file 0 name)
    list(GET file 1 contents)
    file(WRITE "${SCRATCH}/${mirror}/${name}" "${contents}")
    file(ARCHIVE_CREATE OUTPUT "${SCRATCH}/${mirror}/${name}.gz" PATHS "${SCRATCH}/${mirror}/${name}"
      FORMAT raw COMPRESSION GZip)
  endforeach()
endfunction()

make_mirror(good one=first two=second)
make_mirror(wrong one=first two=worst)
make_mirror(half two=second)
file(WRITE "${SCRATCH}/corrupt/one.gz" "this is no gzip file")
set(refused "http://127.0.0.1:9/")
foreach(mirror good wrong half corrupt absent)
  set(${mirror} "file://${SCRATCH}/${mirror}")
endforeach()
foreach(name one two)
  file(SHA256 "${SCRATCH}/good/${name}" sha256)
  list(APPEND all ${name}=${sha256})
endforeach()

# Runs the script, which must succeed and print one line with these words.
function(expect words mirrors)
  string(TIMESTAMP start "%s")
  execute_process(
    COMMAND ${CMAKE_COMMAND} "-DFOLDER=${folder}" "-DMIRRORS=${mirrors}" "-DUNPACK=${UNPACK}" -DSECONDS=9
      "-DFILES=${all}" -P ${SCRIPT}
    RESULT_VARIABLE result OUTPUT_VARIABLE said ERROR_VARIABLE said)
  string(TIMESTAMP end "%s")
  math(EXPR seconds "${end} - ${start}")
  message("${said}")
  if(NOT result EQUAL 0 OR seconds GREATER 10)
    message(FATAL_ERROR "${mirrors}: exit code ${result} after ${seconds} s")
  endif()
  if(NOT said MATCHES "^MNIST: [^\n]*${words}[^\n]*\n$")
    message(FATAL_ERROR "${mirrors}: expected one line with \"${words}\"")
  endif()
endfunction()

# The folder must hold exactly these files.
function(expect_files)
  file(GLOB found RELATIVE "${folder}" "${folder}/*")
  if(NOT "${found}" STREQUAL "${ARGN}")
    message(FATAL_ERROR "expected the files \"${ARGN}\", found \"${found}\"")
  endif()
endfunction()

unset(ENV{BATCHNORM_MNIST})
expect("the drawn digits will serve" "")
expect("the drawn digits will serve" "${absent};${refused}")
expect("is no good .gz file|wrong SHA-256" "${corrupt}")
expect_files()
if(EXISTS "${folder}.part")
  message(FATAL_ERROR "something was left behind")
endif()

expect("two.unchecked had a wrong SHA-256 and was deleted.*the drawn digits will serve" "${wrong}")
expect_files()  # one good file is not enough, and waits
expect("downloaded from [^\n]*/half to " "${absent};${half}")
expect_files(one two)
expect(" already" "${absent}")

file(WRITE "${folder}/one" "spoilt")
expect("one had a wrong SHA-256 and was deleted.*the drawn digits will serve" "${absent}")
expect_files()
expect("downloaded from [^\n]*/good to " "${refused};${good}")
expect_files(one two)

file(REMOVE_RECURSE "${folder}")
file(WRITE "${folder}/one.gz" "mine")
expect("of your own" "${good}")
expect_files(one.gz)

file(REMOVE_RECURSE "${folder}")
set(ENV{BATCHNORM_MNIST} "${SCRATCH}/elsewhere")
expect("not downloaded, [^\n]*/elsewhere" "${good}")
expect_files()
unset(ENV{BATCHNORM_MNIST})

file(REMOVE_RECURSE "${SCRATCH}/data")
file(WRITE "${SCRATCH}/data" "a file where the folder should be")
expect("the drawn digits will serve" "${good}")
