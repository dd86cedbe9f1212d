//! Highest random weight (Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998): who is for what,
//! the same for everybody who knows the members, spread evenly, and whoever goes moves only its own share.

use fos_abi::Identity;

/// How strongly this process is for what the number stands for. The one with the highest weight has it.
pub fn weight(of: u64, identity: Identity) -> u64 {
    mix(of ^ mix(identity.0))
}

/// Mixes the bits of a number (the finalizer of SplitMix64, Steele et al., 2014).
fn mix(number: u64) -> u64 {
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}
