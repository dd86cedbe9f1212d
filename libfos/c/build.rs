//! Compiles the part of the library that is C, `print.c`, for cargo to put into the static library. Only with the feature
//! `start`: the tests compile it by themselves.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// As `host/src/c.rs` compiles programs.
const FLAGS: [&str; 11] = [
    "-std=c11",
    "-O2",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-ffreestanding",
    "-fno-pie",
    "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables",
    "-fno-omit-frame-pointer",
    "-Iinclude",
];

fn main() {
    println!("cargo:rerun-if-changed=print.c");
    println!("cargo:rerun-if-changed=include/fos.h");
    if env::var_os("CARGO_FEATURE_START").is_none() {
        return;
    }
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says where build scripts write"));
    let (object, library) = (folder.join("print.o"), folder.join("libfos_print.a"));
    run(Command::new("cc").args(FLAGS).args(["-c", "print.c", "-o"]).arg(&object));
    let _ = std::fs::remove_file(&library);
    run(Command::new("ar").arg("rc").arg(&library).arg(&object));
    println!("cargo:rustc-link-search=native={}", folder.display());
    println!("cargo:rustc-link-lib=static=fos_print");
}

fn run(command: &mut Command) {
    match command.status() {
        Ok(status) if status.success() => {}
        outcome => panic!("{command:?}: {outcome:?}"),
    }
}
