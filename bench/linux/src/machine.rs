//! The guest around the measurements: file systems, the console, what to note about the kernel, and the end.

use std::ffi::CStr;
use std::fs;
use std::io;

/// Where Linux says which processor weaknesses it works around, one file each.
const VULNERABILITIES: &str = "/sys/devices/system/cpu/vulnerabilities";

fn is_init() -> bool {
    std::process::id() == 1
}

/// As process 1, mounts `/proc` and `/sys`, which [`notes`] reads.
pub fn prepare() {
    if is_init() {
        mount(c"proc", c"/proc");
        mount(c"sysfs", c"/sys");
    }
}

fn mount(kind: &CStr, place: &CStr) {
    let path = place.to_str().expect("our own literals are UTF-8");
    fs::create_dir_all(path).unwrap_or_else(|error| panic!("making {path}: {error}"));
    // SAFETY: the three strings end in NUL and outlive the call; these file systems take no data.
    let result = unsafe { libc::mount(kind.as_ptr(), place.as_ptr(), kind.as_ptr(), 0, std::ptr::null()) };
    assert_eq!(result, 0, "mounting {path}: {}", io::Error::last_os_error());
}

/// Waits until the console has sent what was printed. Fails silently where stdout is no terminal.
pub fn drain_console() {
    // SAFETY: tcdrain takes a descriptor number and touches no memory of ours.
    unsafe { libc::tcdrain(libc::STDOUT_FILENO) };
}

/// The kernel's version and command line, its processor mitigations, and its huge page policy.
pub fn notes() -> Vec<String> {
    let mut notes = vec![
        format!("kernel: {}", read("/proc/version")),
        format!("command line: {}", read("/proc/cmdline")),
        format!("transparent huge pages: {}", read("/sys/kernel/mm/transparent_hugepage/enabled")),
    ];
    let mut weaknesses: Vec<_> = fs::read_dir(VULNERABILITIES).into_iter().flatten().flatten().collect();
    weaknesses.sort_by_key(|entry| entry.file_name());
    for weakness in weaknesses {
        let path = format!("{VULNERABILITIES}/{}", weakness.file_name().display());
        notes.push(format!("{}: {}", weakness.file_name().display(), read(&path)));
    }
    notes
}

fn read(path: &str) -> String {
    fs::read_to_string(path).map_or_else(|error| format!("unknown ({error})"), |text| text.trim().to_owned())
}

/// As process 1, ends the machine: a reboot, which QEMU's `-no-reboot` turns into its end.
pub fn end() {
    if is_init() {
        // SAFETY: reboot(2) touches no memory of ours; every line is printed and drained.
        unsafe { libc::reboot(libc::RB_AUTOBOOT) };
        panic!("reboot: {}", io::Error::last_os_error());
    }
}
