# cmake -DFOLDER=... -DMIRRORS=... -DUNPACK=... -DSECONDS=... -P download_mnist.cmake
#
# Puts MNIST's four files, unpacked and checked, into FOLDER: all of them or none. MIRRORS is a list of addresses (file://
# serves too), UNPACK the program unpack_gz, SECONDS the time that all of it may take. Prints one line of what happened,
# and always succeeds. Files that came before the time was up wait in FOLDER.part for the next run. Does nothing where the
# environment variable BATCHNORM_MNIST names a folder, which is read instead.

if(NOT FILES)  # name=sha256 of the unpacked file; the small ones first: they show soon whether a mirror answers
  set(FILES
    train-labels-idx1-ubyte=65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5
    t10k-labels-idx1-ubyte=ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2
    t10k-images-idx3-ubyte=0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7
    train-images-idx3-ubyte=ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db)
endif()

# The work is done by a second cmake, because only a process can be stopped for certain: a name server that does not
# answer holds file(DOWNLOAD) beyond its own TIMEOUT.
if(NOT WORKING)
  if(NOT "$ENV{BATCHNORM_MNIST}" STREQUAL "")
    message("MNIST: not downloaded, as BATCHNORM_MNIST names a folder: $ENV{BATCHNORM_MNIST}")
    return()
  endif()
  execute_process(
    COMMAND ${CMAKE_COMMAND} -DWORKING=ON "-DFOLDER=${FOLDER}" "-DMIRRORS=${MIRRORS}" "-DUNPACK=${UNPACK}"
      "-DSECONDS=${SECONDS}" "-DFILES=${FILES}" -P ${CMAKE_CURRENT_LIST_FILE}
    TIMEOUT ${SECONDS} RESULT_VARIABLE result ERROR_VARIABLE said OUTPUT_QUIET)
  if(NOT result EQUAL 0)
    string(APPEND said "stopped (${result})")
  endif()
  if(NOT EXISTS "${FOLDER}")
    string(APPEND said "\nnot downloaded: the drawn digits will serve")
  endif()
  string(STRIP "${said}" said)
  string(REGEX REPLACE "[ \n]*\n[ \n]*" "; " said "${said}")
  message("MNIST: ${said}")
  return()
endif()

# Whether a file is there and is the right one. One that is not is deleted.
function(check path sha256 result)
  set(${result} FALSE PARENT_SCOPE)
  if(EXISTS "${path}")
    file(SHA256 "${path}" found)
    if(found STREQUAL sha256)
      set(${result} TRUE PARENT_SCOPE)
    else()
      file(REMOVE "${path}")
      message("${path} had a wrong SHA-256 and was deleted")
    endif()
  endif()
endfunction()

# Downloads, unpacks and checks one file.
function(fetch address path sha256 result)
  set(${result} FALSE PARENT_SCOPE)
  string(FIND "${address}" labels at)
  set(seconds ${SECONDS})
  if(NOT at EQUAL -1)
    set(seconds 3)  # 30 kB
  endif()
  file(DOWNLOAD "${address}" "${path}.gz" TIMEOUT ${seconds} INACTIVITY_TIMEOUT 3 STATUS status)
  list(POP_FRONT status code)
  if(NOT code EQUAL 0)
    message("${address}: ${status}")
    return()
  endif()
  execute_process(COMMAND ${UNPACK} "${path}.gz" "${path}.unchecked" RESULT_VARIABLE failed)
  if(failed)
    message("${address}: is no good .gz file")
    return()
  endif()
  check("${path}.unchecked" ${sha256} good)
  if(good)
    file(RENAME "${path}.unchecked" "${path}")
  endif()
  set(${result} ${good} PARENT_SCOPE)
endfunction()

file(GLOB own "${FOLDER}/*.gz")
if(own)
  message("${FOLDER} holds .gz files of your own: nothing to do")
  return()
endif()

# What is good in FOLDER stays there if all of it is good, else it is work done for the next attempt.
set(part "${FOLDER}.part")
set(missing "")
foreach(file IN LISTS FILES)
  string(REPLACE = ";" file ${file})
  list(GET file 0 name)
  list(GET file 1 sha256)
  check("${FOLDER}/${name}" ${sha256} good)
  if(NOT good)
    list(APPEND missing ${name})
  endif()
endforeach()
if(NOT missing)
  message("in ${FOLDER} already")
  return()
endif()
if(EXISTS "${FOLDER}")
  file(COPY "${FOLDER}/" DESTINATION "${part}")
  file(REMOVE_RECURSE "${FOLDER}")
endif()

foreach(mirror IN LISTS MIRRORS)
  string(REGEX REPLACE "/+$" "" mirror "${mirror}")
  set(complete TRUE)
  foreach(file IN LISTS FILES)
    string(REPLACE = ";" file ${file})
    list(GET file 0 name)
    list(GET file 1 sha256)
    check("${part}/${name}" ${sha256} good)
    if(NOT good)
      fetch("${mirror}/${name}.gz" "${part}/${name}" ${sha256} good)
    endif()
    if(NOT good)
      set(complete FALSE)
      break()  # to the next mirror: one that does not answer costs its waiting time once
    endif()
  endforeach()
  file(GLOB unfinished "${part}/*.gz" "${part}/*.unchecked")
  file(REMOVE ${unfinished})
  if(complete)
    file(RENAME "${part}" "${FOLDER}")
    message("downloaded from ${mirror} to ${FOLDER}")
    return()
  endif()
endforeach()
file(GLOB kept "${part}/*")
if(NOT kept)
  file(REMOVE_RECURSE "${part}")
endif()
