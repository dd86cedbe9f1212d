//! Suite `build`: what everything else stands on is built here, so that its time is counted here.

use crate::runner::Runner;
use fos_host::{image, packages};

/// Builds every image.
pub fn run(runner: &mut Runner) {
    let talk = runner.talk();
    runner.test("the host has what the tests need", || {
        packages::ensure(&[packages::QEMU, packages::STRIP], &talk)
    });
    let names = image::names();
    runner.test("images are listed", || names.clone().map(drop));
    for name in names.unwrap_or_default() {
        runner.test(format!("image {name} builds"), || image::build(&name, &talk).map(drop));
    }
}
