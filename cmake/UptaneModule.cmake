# How every target of this project is compiled: one place for warnings, hardening and sanitizers.

add_library(upt_flags INTERFACE)
target_include_directories(upt_flags INTERFACE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
target_compile_features(upt_flags INTERFACE c_std_11)
target_compile_definitions(upt_flags INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64
	UPT_VERSION="${PROJECT_VERSION}")
target_compile_options(upt_flags INTERFACE
	-Wall -Wextra -Wconversion -Wshadow -Wswitch-enum -Wmissing-prototypes -Wstrict-prototypes
	-Wformat=2 -Wvla -Wundef -Wpointer-arith -Wcast-qual -Wwrite-strings
	-fno-strict-overflow -fstack-protector-strong -fPIE)
target_link_options(upt_flags INTERFACE -pie -Wl,-z,relro,-z,now,-z,noexecstack)
if(UPT_WERROR)
	target_compile_options(upt_flags INTERFACE -Werror)
endif()
if(UPT_SANITIZE)
	target_compile_options(upt_flags INTERFACE
		-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
	target_link_options(upt_flags INTERFACE -fsanitize=address,undefined)
elseif(CMAKE_BUILD_TYPE MATCHES "Rel")
	target_compile_options(upt_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
		-ffunction-sections -fdata-sections)
	target_link_options(upt_flags INTERFACE -Wl,--gc-sections)
endif()
if(UPT_FUZZ)
	target_compile_options(upt_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(UPT_COVERAGE)
	# tests/coverage.c: processes that end by _exit() count as well.
	add_library(upt_coverage STATIC ${PROJECT_SOURCE_DIR}/tests/coverage.c)
	target_compile_options(upt_flags INTERFACE --coverage)
	target_link_options(upt_flags INTERFACE --coverage -Wl,--wrap=_exit)
	target_link_libraries(upt_flags INTERFACE upt_coverage)
endif()
include(CheckCCompilerFlag)
check_c_compiler_flag(-fcf-protection=full UPT_HAVE_CET)
if(UPT_HAVE_CET)
	target_compile_options(upt_flags INTERFACE -fcf-protection=full)
endif()
check_c_compiler_flag(-fstack-clash-protection UPT_HAVE_STACK_CLASH)
if(UPT_HAVE_STACK_CLASH)
	target_compile_options(upt_flags INTERFACE -fstack-clash-protection)
endif()

# upt_module(NAME SOURCES a.c b.c DEPS base json PkgConfig::X): static library upt_NAME.
function(upt_module name)
	cmake_parse_arguments(M "" "" "SOURCES;DEPS" ${ARGN})
	add_library(upt_${name} STATIC ${M_SOURCES})
	target_link_libraries(upt_${name} PUBLIC upt_flags)
	upt_link_deps(upt_${name} PUBLIC ${M_DEPS})
endfunction()

# upt_program(NAME SOURCES main.c DEPS primary): executable NAME in build/.../bin, installed.
function(upt_program name)
	cmake_parse_arguments(M "NO_INSTALL" "" "SOURCES;DEPS" ${ARGN})
	add_executable(${name} ${M_SOURCES})
	set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
	target_link_libraries(${name} PRIVATE upt_flags)
	upt_link_deps(${name} PRIVATE ${M_DEPS})
	if(NOT M_NO_INSTALL)
		install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
	endif()
endfunction()

# upt_unit_test(MODULE FILE DEPS ...): tests/unit/MODULE/test_FILE.c as the ctest unit.MODULE.FILE.
function(upt_unit_test module file)
	cmake_parse_arguments(M "" "" "SOURCES;DEPS" ${ARGN})
	set(target test_${module}_${file})
	add_executable(${target} ${PROJECT_SOURCE_DIR}/tests/unit/${module}/test_${file}.c ${M_SOURCES})
	target_link_libraries(${target} PRIVATE upt_flags ${CMOCKA_LIBRARY})
	upt_link_deps(${target} PRIVATE ${module} ${M_DEPS})
	add_test(NAME unit.${module}.${file} COMMAND ${target}
		WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
	set_tests_properties(unit.${module}.${file} PROPERTIES TIMEOUT 120)
endfunction()

# A dependency is a module of ours by its short name, or anything else as CMake knows it.
function(upt_link_deps target scope)
	foreach(dep ${ARGN})
		if(dep MATCHES "^(PkgConfig::|/|-|Threads::)")
			target_link_libraries(${target} ${scope} ${dep})
		else()
			target_link_libraries(${target} ${scope} upt_${dep})
		endif()
	endforeach()
endfunction()
