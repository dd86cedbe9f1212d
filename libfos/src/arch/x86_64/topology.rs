//! Where the core is on which this runs, as CPUID tells it (Intel's manual, volume 2, CPUID leaves 0BH and 1FH; AMD has the first of
//! them too): its number in the whole machine is cut into thread, physical core and package by two shifts.

use core::arch::x86_64::{__cpuid, __cpuid_count, CpuidResult};

/// Leaves that enumerate the topology, the better first.
const LEAVES: [u32; 2] = [0x1f, 0x0b];
/// Levels of such a leaf that are looked at.
const LEVELS_MAX: u32 = 8;
/// Kind of a level: threads of one physical core.
const THREADS: u32 = 1;

/// Where a core is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CorePlace {
    /// Its package.
    pub package: u32,
    /// Its physical core, of all of the package.
    pub physical: u32,
}

/// Of the core on which this runs now.
pub fn core_place() -> CorePlace {
    let leaf_max = __cpuid(0).eax;
    let known = LEAVES.into_iter().filter(|leaf| *leaf <= leaf_max);
    let found = known.into_iter().find_map(|leaf| place(|level| __cpuid_count(leaf, level)));
    // Older processors tell one number alone: each core is then taken for a package of one.
    found.unwrap_or(CorePlace { package: __cpuid(1).ebx >> 24, physical: 0 })
}

/// Reads a leaf, level by level; none if it tells nothing.
fn place(leaf: impl Fn(u32) -> CpuidResult) -> Option<CorePlace> {
    let (mut threads, mut package, mut number) = (0, None, 0);
    for level in (0..LEVELS_MAX).map(leaf) {
        let (shift, kind) = (level.eax & 0x1f, level.ecx >> 8 & 0xff);
        if kind == 0 || level.ebx & 0xffff == 0 {
            break;
        }
        number = level.edx;
        if kind == THREADS {
            threads = shift;
        }
        package = Some(shift);
    }
    let shift = package?;
    let in_package = number & ((1_u32 << shift) - 1);
    Some(CorePlace { package: number >> shift, physical: in_package >> threads })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(shift: u32, kind: u32, number: u32) -> CpuidResult {
        CpuidResult { eax: shift, ebx: u32::from(kind != 0), ecx: kind << 8, edx: number }
    }

    #[test]
    fn a_number_is_cut_into_thread_core_and_package() {
        // Two threads of eight cores: package 2 (0b10), core 5 (0b101), the second thread.
        let leaf = |number| move |at| [level(1, 1, number), level(4, 2, number), level(0, 0, 0)][at as usize];
        assert_eq!(place(leaf(0b10_1011)), Some(CorePlace { package: 2, physical: 5 }));
        assert_eq!(place(leaf(0)), Some(CorePlace::default()));
        assert_eq!(place(|_| level(0, 0, 7)), None);
        let dies = |at| [level(0, 1, 9), level(2, 2, 9), level(3, 5, 9), level(0, 0, 0)][at as usize];
        assert_eq!(
            place(dies),
            Some(CorePlace { package: 1, physical: 1 }),
            "levels between are part of the package"
        );
        assert!(place(|_| level(31, 2, u32::MAX)).is_some(), "a leaf without end is left");
    }

    #[test]
    fn this_host_tells_something() {
        let _ = core_place();
    }
}
