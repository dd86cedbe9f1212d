//! The table of guest programs: every crate that is linked for the guest, and how. One line here is all that a new
//! guest program needs to be built, checked and put into images.

/// How a guest crate is linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The kernel: loaded by the machine, runs in the upper half of the address space.
    Kernel,
    /// A program that speaks the kernel's own calls.
    User,
    /// The Linux personality: lies beside a Linux program in its address space.
    Personality,
}

/// A crate that is linked for the guest. Its binary has the crate's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guest {
    /// The crate, as in its Cargo.toml.
    pub package: &'static str,
    /// How it is linked.
    pub kind: Kind,
}

/// The kernel's crate.
pub const KERNEL: &str = "fos-kernel";
/// The root program's crate.
pub const ROOT: &str = "fos-root";

/// The Linux personality's crate.
pub const PERSONALITY: &str = "fos-posix";
/// Members of the workspace that are ordinary programs of the host. Every other member is guest code.
pub const HOST_CRATES: &[&str] =
    &["fos-host", "fos-sim", "fos-tests", "fos-bench-linux", "fos-bench-messages"];

/// Every guest binary.
pub const GUESTS: &[Guest] = &[
    Guest { package: KERNEL, kind: Kind::Kernel },
    Guest { package: ROOT, kind: Kind::User },
    Guest { package: PERSONALITY, kind: Kind::Personality },
    Guest { package: "fos-serial", kind: Kind::User },
    Guest { package: "fos-hello", kind: Kind::User },
    Guest { package: "fos-echo", kind: Kind::User },
    Guest { package: "fos-naming", kind: Kind::User },
    Guest { package: "fos-watchdog", kind: Kind::User },
    Guest { package: "fos-demo", kind: Kind::User },
    Guest { package: "fos-knowledge", kind: Kind::User },
    Guest { package: "fos-pages", kind: Kind::User },
    Guest { package: "fos-pages-test", kind: Kind::User },
    Guest { package: "fos-placement-test", kind: Kind::User },
    Guest { package: "fos-processes", kind: Kind::User },
    Guest { package: "fos-processes-test", kind: Kind::User },
    Guest { package: "fos-names", kind: Kind::User },
    Guest { package: "fos-search", kind: Kind::User },
    Guest { package: "fos-init", kind: Kind::User },
    Guest { package: "fos-shell", kind: Kind::User },
    Guest { package: "fos-fault", kind: Kind::User },
    Guest { package: "fos-hostile", kind: Kind::User },
    Guest { package: "fos-peers", kind: Kind::User },
    Guest { package: "fos-structures-test", kind: Kind::User },
    Guest { package: "fos-tasks", kind: Kind::User },
    Guest { package: "fos-bench-kernel", kind: Kind::User },
];

/// Every kind.
pub const KINDS: [Kind; 3] = [Kind::Kernel, Kind::User, Kind::Personality];

/// The guests of one kind.
pub fn of_kind(kind: Kind) -> impl Iterator<Item = &'static str> {
    GUESTS.iter().filter(move |guest| guest.kind == kind).map(|guest| guest.package)
}

/// The compiler and linker flags of one kind, with the tree's root for the linker script. Stable Rust has no target
/// without an operating system for x86-64 whose `core` is precompiled with SSE, so these flags turn the Linux target
/// into one: static, at fixed addresses, without start files (docs/toolchain.md).
pub fn flags(kind: Kind, root: &std::path::Path) -> Vec<String> {
    let mut flags = vec!["-Crelocation-model=static"];
    if kind == Kind::Kernel {
        // Its backtraces follow them. Programs print none, and a debugger has their unwind tables.
        flags.push("-Cforce-frame-pointers=yes");
        // Interrupts of the kernel arrive on its own stack, where a red zone would be overwritten.
        flags.extend(["-Ccode-model=kernel", "-Cno-redzone=yes"]);
        // Nothing unwinds, and a function that never returns need not keep its caller's registers.
        flags.push("-Cforce-unwind-tables=no");
    }
    let link = ["-nostartfiles", "-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none"];
    let mut flags: Vec<String> = flags.into_iter().map(str::to_owned).collect();
    flags.extend(link.map(|argument| format!("-Clink-arg={argument}")));
    if kind == Kind::Kernel {
        flags.push("-Clink-arg=-Wl,-z,max-page-size=4096".to_owned());
    }
    let folder = match kind {
        Kind::Kernel => "kernel",
        Kind::User => "libfos",
        Kind::Personality => "posix",
    };
    flags.push(format!("-Clink-arg=-T{}", root.join(folder).join("link.ld").display()));
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_each_crate_once() {
        let names: std::collections::BTreeSet<_> = GUESTS.iter().map(|guest| guest.package).collect();
        assert_eq!(names.len(), GUESTS.len());
        assert_eq!(of_kind(Kind::Kernel).collect::<Vec<_>>(), [KERNEL]);
    }

    #[test]
    fn only_the_kernel_does_without_a_red_zone() {
        let has = |kind| flags(kind, std::path::Path::new("/r")).contains(&"-Cno-redzone=yes".to_owned());
        assert!(has(Kind::Kernel) && !has(Kind::User));
    }
}
