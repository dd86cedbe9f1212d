//! From an image description to what a machine boots: the kernel and a boot archive, built when anything is newer.

use crate::archive::{Entry, newc};
use crate::c;
use crate::cargo::{build_guests, guest_binary};
use crate::children::collect;
use crate::failure::{Code, Context, Failure, Result};
use crate::guests::{self, GUESTS, Kind};
use crate::packages;
use crate::repository;
use crate::talk::Talk;
use fos_messages::image::{
    DESCRIPTION_ENTRY, Image, ImageError, PERSONALITY_ENTRY, Personality, Program, ROOT_ENTRY,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// An image ready to boot.
#[derive(Clone, Debug)]
pub struct Built {
    /// Its description.
    pub image: Image,
    /// The kernel, with its symbols.
    pub kernel: PathBuf,
    /// The boot archive.
    pub archive: PathBuf,
    /// Program name to its ELF with symbols, for fault reports. `root` is among them.
    pub symbols: BTreeMap<String, PathBuf>,
}

/// The names of all images, in order.
pub fn names() -> Result<Vec<String>> {
    let folder = repository::root().join("images");
    let entries = std::fs::read_dir(&folder).doing(format_args!("reading {}", folder.display()))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

/// Reads and checks the description of an image: a name in `images/`, or a path of a `.toml` file.
pub fn load(name: &str) -> Result<(Image, String)> {
    let path = if name.ends_with(".toml") {
        PathBuf::from(name)
    } else {
        repository::root().join("images").join(name).with_extension("toml")
    };
    if name.is_empty() || !path.is_file() {
        let known = names()?.join(", ");
        return Err(Failure::new(Code::NotFound, format!("no image is named {name:?}"))
            .hint(format!("images/ holds: {known}")));
    }
    let text = std::fs::read_to_string(&path).doing(format_args!("reading {}", path.display()))?;
    let image =
        Image::parse(&text).map_err(|error| Failure::new(Code::Failed, underline(&path, &text, &error)))?;
    Ok((image, text))
}

/// `PATH:LINE:COLUMN: message`, the line, and a mark under what is meant.
fn underline(path: &Path, text: &str, error: &ImageError) -> String {
    let path = path.display();
    let Some(span) = error.span.clone().filter(|span| text.get(span.clone()).is_some()) else {
        return format!("{path}: {}", error.message);
    };
    let before = &text[..span.start];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = text[line_start..].lines().next().unwrap_or_default();
    let number = before.matches('\n').count() + 1;
    let column = text[line_start..span.start].chars().count();
    let room = line.chars().count().saturating_sub(column).max(1);
    let marks = text[span].chars().count().clamp(1, room);
    let mark = format!("{}{}", " ".repeat(column), "^".repeat(marks));
    format!("{path}:{number}:{}: {}\n  {line}\n  {mark}", column + 1, error.message)
}

/// Builds the kernel, the programs of the image and its boot archive.
pub fn build(name: &str, talk: &Talk) -> Result<Built> {
    let (image, text) = load(name)?;
    let programs = program_crates(&image)?;
    let folders = c_folders(&image);
    if !folders.is_empty() {
        c::ensure_compiler(talk)?;
    }
    let names: Vec<&str> = programs.iter().chain(&folders).copied().collect();
    let stage = talk.stage(format!("built the kernel, {}", names.join(", ")));
    build_binaries(&programs, needs_personality(&image))?;
    c::build(&folders)?;
    stage.done();
    let entries = entries(&image, &text, talk)?;
    let archive = repository::cache("images")?.join(format!("{}.cpio", image.name));
    let bytes = newc(&entries)?;
    if std::fs::read(&archive).ok().as_ref() != Some(&bytes) {
        repository::write_whole(&archive, &bytes)?;
    }
    let symbols = symbols(&image);
    Ok(Built { image, kernel: guest_binary(Kind::Kernel, guests::KERNEL), archive, symbols })
}

/// Builds the kinds of guests at the same time: linking one kind is the work of one core for seconds.
fn build_binaries(programs: &[&str], personality: bool) -> Result<()> {
    std::thread::scope(|scope| {
        let kernel = scope.spawn(|| build_guests(Kind::Kernel, &[guests::KERNEL]));
        let beside =
            personality.then(|| scope.spawn(|| build_guests(Kind::Personality, &[guests::PERSONALITY])));
        let users = build_guests(Kind::User, programs);
        let outcomes = [Some(kernel), beside].into_iter().flatten().map(|build| build.join());
        let outcomes: Vec<_> = outcomes.collect();
        users?;
        outcomes.into_iter().try_for_each(|outcome| {
            outcome.unwrap_or_else(|_| Err(Failure::new(Code::Bug, "a build's thread panicked")))
        })
    })
}

/// The crates that an image needs: root, and what its programs name.
fn program_crates(image: &Image) -> Result<Vec<&'static str>> {
    let mut crates = vec![guests::ROOT];
    for program in &image.programs {
        let Some(package) = &program.package else { continue };
        let known = GUESTS.iter().find(|guest| guest.package == package && guest.kind == Kind::User);
        let Some(guest) = known else {
            let message =
                format!("program {:?} of image {:?} names crate {package:?}", program.name, image.name);
            return Err(Failure::new(Code::NotFound, format!("{message}, which is no guest program"))
                .hint("add it to GUESTS in host/src/guests.rs"));
        };
        crates.push(guest.package);
    }
    crates.sort_unstable();
    crates.dedup();
    Ok(crates)
}

/// The folders of C files that an image needs.
fn c_folders(image: &Image) -> Vec<&str> {
    let folders: std::collections::BTreeSet<&str> =
        image.programs.iter().filter_map(|program| program.c.as_deref()).collect();
    folders.into_iter().collect()
}

/// The binary of a program that is built here.
fn built_binary(program: &Program) -> Option<PathBuf> {
    let rust = program.package.as_deref().map(|package| guest_binary(Kind::User, package));
    rust.or_else(|| program.c.as_deref().map(c::binary))
}

fn needs_personality(image: &Image) -> bool {
    image.programs.iter().any(|program| program.personality == Personality::Linux)
}

fn entries(image: &Image, description: &str, talk: &Talk) -> Result<Vec<Entry>> {
    let mut entries = vec![Entry::file(DESCRIPTION_ENTRY, description.as_bytes().to_vec())];
    entries.push(Entry::program(ROOT_ENTRY, stripped(&guest_binary(Kind::User, guests::ROOT), talk)?));
    if needs_personality(image) {
        let binary = guest_binary(Kind::Personality, guests::PERSONALITY);
        entries.push(Entry::program(PERSONALITY_ENTRY, stripped(&binary, talk)?));
    }
    let built: BTreeMap<&str, PathBuf> =
        image.programs.iter().filter_map(|program| Some((program.file(), built_binary(program)?))).collect();
    for (file, binary) in built {
        entries.push(Entry::program(file, stripped(&binary, talk)?));
    }
    for file in &image.files {
        let path = packages::file(&file.package, &file.path, talk)?;
        let bytes = std::fs::read(&path).doing(format_args!("reading {}", path.display()))?;
        entries.push(Entry::program(&file.name, bytes));
    }
    Ok(entries)
}

/// A program without its debug information, which the host keeps: it would only fill the guest's memory.
fn stripped(program: &Path, talk: &Talk) -> Result<Vec<u8>> {
    packages::ensure(&[packages::STRIP], talk)?;
    let doing = format!("stripping {}", program.display());
    let output = tempfile::NamedTempFile::new().doing(&doing)?;
    let mut strip = Command::new("strip");
    strip.arg("--strip-debug").arg("-o").arg(output.path()).arg(program);
    let said = collect(&mut strip, Duration::from_secs(60))?;
    if !said.status.success() {
        return Err(Failure::new(Code::Failed, format!("{doing}: {}", said.errors.trim())));
    }
    std::fs::read(output.path()).doing(&doing)
}

fn symbols(image: &Image) -> BTreeMap<String, PathBuf> {
    // A fault in a Linux program's space that we can name is the personality's; Debian's files have no symbols.
    let binary = |program: &Program| match program.personality {
        Personality::Linux => Some(guest_binary(Kind::Personality, guests::PERSONALITY)),
        Personality::Native => built_binary(program),
    };
    let built = image.programs.iter().filter_map(|program| Some((program.name.clone(), binary(program)?)));
    built.chain([(ROOT_ENTRY.to_owned(), guest_binary(Kind::User, guests::ROOT))]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_names_guest_programs() {
        for name in names().unwrap() {
            let (image, _) = load(&name).unwrap();
            assert!(program_crates(&image).unwrap().contains(&guests::ROOT), "{name}");
        }
    }

    #[test]
    fn an_unknown_image_names_the_known_ones() {
        let failure = load("nope").unwrap_err();
        assert_eq!(failure.code, Code::NotFound);
        assert!(failure.hint.unwrap().contains("hello"));
    }

    #[test]
    fn an_error_is_shown_with_its_line_and_mark() {
        let text = "name = \"x\"\ncores = 900\nmemory = \"1M\"\n";
        let error = Image::parse(text).unwrap_err();
        let shown = underline(Path::new("x.toml"), text, &error);
        assert!(shown.starts_with("x.toml:2:9: "), "{shown}");
        assert!(shown.ends_with("\n  cores = 900\n          ^^^"), "{shown}");
    }
}
