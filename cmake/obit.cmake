# One library per folder under src/, its unit tests and its fuzz targets beside the code.

add_library(obit_options INTERFACE)
target_include_directories(obit_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_definitions(obit_options INTERFACE OBIT_VERSION="${PROJECT_VERSION}")
target_compile_options(obit_options INTERFACE -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion
                                              -Wno-missing-field-initializers -fno-omit-frame-pointer)
target_link_libraries(obit_options INTERFACE Threads::Threads)
# UBSan's vptr check makes a pipe to look whether memory is mapped: seccomp kills a confined worker for that.
if(OBIT_SANITIZE)
  target_compile_options(obit_options INTERFACE -fsanitize=${OBIT_SANITIZE} -fno-sanitize=vptr -fno-sanitize-recover=all)
  target_link_options(obit_options INTERFACE -fsanitize=${OBIT_SANITIZE})
endif()
if(OBIT_FUZZ)
  target_compile_options(obit_options INTERFACE -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize=vptr
                                               -fno-sanitize-recover=all)
  target_link_options(obit_options INTERFACE -fsanitize=address,undefined)
endif()

# src/layers.txt as lists: obit_layers, and for each of them obit_layers_below_NAME.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/layers.txt)
file(STRINGS ${CMAKE_SOURCE_DIR}/src/layers.txt lines REGEX "^[a-z]+:")
foreach(line ${lines})
  string(REGEX MATCHALL "[a-z]+" words "${line}")
  list(POP_FRONT words name)
  list(APPEND obit_layers ${name})
  set(obit_layers_below_${name} ${words})
endforeach()

# obit_layer(NAME [libraries] [TEST_LIBRARIES libraries]): the library obit_NAME of src/NAME. It is linked with the layers below
# it, and with these libraries.
# FILE_test.cc files become the test program NAME_test; FILE_fuzz.cc with FILE_corpus/ a fuzz target. Where there are test_FILE.cc
# files, NAME_test is linked with a library of them, obit_NAME_test_support: tests of layers above may have it, too.
function(obit_layer name)
  cmake_parse_arguments(PARSE_ARGV 1 layer "" "" "TEST_LIBRARIES")
  file(GLOB sources CONFIGURE_DEPENDS *.cc)
  set(tests ${sources})
  set(fuzzers ${sources})
  set(support ${sources})
  list(FILTER sources EXCLUDE REGEX "_(test|fuzz)\\.cc$|/test_[^/]*$")
  list(FILTER support INCLUDE REGEX "/test_[^/]*\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.cc$")
  add_library(obit_${name} STATIC ${sources})
  list(TRANSFORM obit_layers_below_${name} PREPEND obit_ OUTPUT_VARIABLE below)
  target_link_libraries(obit_${name} PUBLIC obit_options ${below} ${layer_UNPARSED_ARGUMENTS})
  if(NOT OBIT_TESTS)
    return()
  endif()
  if(OBIT_FUZZ)
    foreach(fuzzer ${fuzzers})
      obit_fuzzer(${fuzzer} obit_${name})
    endforeach()
    return()
  endif()
  if(support)
    add_library(obit_${name}_test_support STATIC ${support})
    target_link_libraries(obit_${name}_test_support PUBLIC obit_${name})
    list(APPEND layer_TEST_LIBRARIES obit_${name}_test_support)
  endif()
  if(tests)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE obit_${name} ${layer_TEST_LIBRARIES} GTest::gmock
                                                GTest::gtest_main)
    # Half of the time that it takes to compile them is optimisation, and next to none of the time that they run.
    target_compile_options(${name}_test PRIVATE $<$<CONFIG:RelWithDebInfo>:-O0>)
    set_target_properties(${name}_test PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    include(GoogleTest)
    gtest_discover_tests(${name}_test DISCOVERY_MODE PRE_TEST TEST_PREFIX ${name}. PROPERTIES TIMEOUT 120)
  endif()
  foreach(fuzzer ${fuzzers})
    obit_corpus_test(${fuzzer} obit_${name})
  endforeach()
endfunction()

# The libFuzzer program of FILE_fuzz.cc, and a test that runs its corpus once.
function(obit_fuzzer file library)
  cmake_path(GET file STEM stem)
  add_executable(${stem} ${file})
  target_link_libraries(${stem} PRIVATE ${library})
  target_link_options(${stem} PRIVATE -fsanitize=fuzzer)
  string(REPLACE _fuzz _corpus corpus ${stem})
  set(found ${CMAKE_CURRENT_BINARY_DIR}/${stem}_found)  # libFuzzer writes what it finds into the first folder
  file(MAKE_DIRECTORY ${found})
  add_test(NAME fuzz.${stem} COMMAND ${stem} -runs=20000 -max_total_time=15 ${found} ${CMAKE_CURRENT_SOURCE_DIR}/${corpus})
endfunction()

# Without libFuzzer: the same target, fed with each file of its corpus, as a normal test.
function(obit_corpus_test file library)
  cmake_path(GET file STEM stem)
  string(REPLACE _fuzz _corpus corpus ${stem})
  add_executable(${stem} ${file} ${CMAKE_SOURCE_DIR}/tests/run_corpus.cc)
  target_link_libraries(${stem} PRIVATE ${library})
  set_target_properties(${stem} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME corpus.${stem} COMMAND ${stem} ${CMAKE_CURRENT_SOURCE_DIR}/${corpus})
endfunction()

# obit_program(NAME [libraries]): the executable of src/programs/NAME.
function(obit_program name)
  file(GLOB sources CONFIGURE_DEPENDS *.cc)
  add_executable(${name} ${sources})
  target_link_libraries(${name} PRIVATE ${ARGN})
endfunction()
