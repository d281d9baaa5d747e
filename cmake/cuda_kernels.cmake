# Kernel files without a GPU: as C++ on the emulator of the tests, and as the PTX that nvcc makes of them.

# silosum_emulated_kernels(name SOURCES <absolute .cu files> [CHECKED])
# The objects of the kernel files compiled as C++, for the emulator (objects, as functions that are weak draw nothing out of an archive). CHECKED: with every load and store checked, which needs the
# target cuda_emulator_checked (no tree that has sanitizers has it). LANGUAGE belongs to a source in one directory, so the directory that
# calls this must not also compile the same files as CUDA.
function(silosum_emulated_kernels name)
  cmake_parse_arguments(KERNELS "CHECKED" "" "SOURCES" ${ARGN})
  # `#pragma unroll` is nvcc's. Constructors whose parameters are called as the members are common in CUDA headers, also in ours. Options of
  # the source, as those come last.
  set_source_files_properties(${KERNELS_SOURCES} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "-Wno-unknown-pragmas;-Wno-shadow;-Wshadow=local")
  add_library(${name} OBJECT EXCLUDE_FROM_ALL ${KERNELS_SOURCES})
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}/src" "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE silosum_flags)
  target_compile_options(${name} PRIVATE -g1)
  if(KERNELS_CHECKED)
    # Compiled, not linked with the sanitizer: the emulator's checker is what the instrumented code calls.
    target_compile_options(${name} PRIVATE -fsanitize=thread)
    target_link_libraries(${name} PUBLIC cuda_emulator_checked)
  else()
    target_link_libraries(${name} PUBLIC cuda_emulator)
    string(TOUPPER "${CMAKE_BUILD_TYPE}" build_type)
    if("${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${build_type}}" MATCHES "fsanitize=[a-z,]*undefined")
      # Not part of "undefined", as it is well defined on most machines; not so on a GPU.
      target_compile_options(${name} PRIVATE -fsanitize=float-cast-overflow)
    endif()
  endif()
endfunction()

# silosum_ptx(name ARCH 75 SOURCES <absolute .cu files> [OPTIONS <more for nvcc>])
# A target that makes one PTX file a source, with the lines that messages name. Its property SILOSUM_PTX_FILES is what a test's environment
# variable SILOSUM_CUDA_PTX must hold; the test needs add_dependencies(<its executable> name).
function(silosum_ptx name)
  cmake_parse_arguments(PTX "" "ARCH" "SOURCES;OPTIONS" ${ARGN})
  set(files "")
  foreach(source IN LISTS PTX_SOURCES)
    file(RELATIVE_PATH flat "${PROJECT_SOURCE_DIR}" "${source}")
    string(REPLACE "/" "_" flat "${flat}")
    set(file "${CMAKE_CURRENT_BINARY_DIR}/${name}/${flat}.ptx")
    add_custom_command(
      OUTPUT "${file}"
      COMMAND "${CMAKE_COMMAND}" -E make_directory "${CMAKE_CURRENT_BINARY_DIR}/${name}"
      COMMAND "${SILOSUM_NVCC}" -ptx -lineinfo -fmad=false -std=c++20 -arch=compute_${PTX_ARCH} -I "${PROJECT_SOURCE_DIR}/src" -I "${PROJECT_SOURCE_DIR}"
              ${PTX_OPTIONS} -MD -MF "${file}.d" -o "${file}" "${source}"
      DEPENDS "${source}"  # not MAIN_DEPENDENCY: the source would not be compiled as C++ any more
      DEPFILE "${file}.d"
      COMMENT "Compiling ${flat} to PTX for ${PTX_ARCH}"
      VERBATIM)
    list(APPEND files "${file}")
  endforeach()
  add_custom_target(${name} DEPENDS ${files})
  list(JOIN files ":" joined)
  set_target_properties(${name} PROPERTIES SILOSUM_PTX_FILES "${joined}")
endfunction()
