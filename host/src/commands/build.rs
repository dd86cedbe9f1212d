//! `fos build`: the kernel, every guest program that the images name, and the boot archives.

use super::Session;
use crate::cli::BuildArguments;
use crate::failure::{Context, Result};
use crate::image::{self, Built};
use crate::{data, guests, repository};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;

/// Builds the named images, or all.
pub fn run(arguments: &BuildArguments, session: Session) -> Result<u8> {
    let began = Instant::now();
    let names = if arguments.images.is_empty() { image::names()? } else { arguments.images.clone() };
    let built = names.iter().map(|name| image::build(name, &session.talk)).collect::<Result<Vec<_>>>()?;
    let images = built.iter().map(describe).collect::<Result<Vec<Value>>>()?;
    if session.json {
        data::json(&json!({
            "schema": "fos.build/1",
            "images": images,
            "seconds": began.elapsed().as_secs_f64(),
        }))?;
        return Ok(0);
    }
    for image in &built {
        let bytes = size(&image.archive)?;
        data::line(format_args!("{} {} KiB", below_root(&image.archive), bytes / 1024))?;
    }
    Ok(0)
}

fn describe(built: &Built) -> Result<Value> {
    Ok(json!({
        "name": built.image.name,
        "archive": below_root(&built.archive),
        "archive_bytes": size(&built.archive)?,
        "kernel": below_root(&built.kernel),
        "kernel_package": guests::KERNEL,
        "programs": built.image.programs.iter().map(|program| &program.name).collect::<Vec<_>>(),
    }))
}

fn size(path: &Path) -> Result<u64> {
    Ok(std::fs::metadata(path).doing(format_args!("looking at {}", path.display()))?.len())
}

/// A path as a user in the tree types it.
fn below_root(path: &Path) -> String {
    path.strip_prefix(repository::root()).unwrap_or(path).display().to_string()
}
