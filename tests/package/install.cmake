# cmake -DTREE=<dir> -DPREFIX=<dir> -P install.cmake
# Installs into a prefix in which nothing is left of an earlier installation.
file(REMOVE_RECURSE ${PREFIX})
execute_process(COMMAND ${CMAKE_COMMAND} --install ${TREE} --prefix ${PREFIX} COMMAND_ERROR_IS_FATAL ANY)
