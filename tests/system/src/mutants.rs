//! Planted bugs: reads tests/mutants.md, plants each in a copy of the tree, and sees that the named test fails. The copy
//! lies below the target folder and keeps what cargo built, so that one mutant costs one crate's build.

use crate::runner::{Outcome, Runner, fail};
use fos_host::cargo::BUILD_WITHIN;
use fos_host::children::collect;
use fos_host::failure::{Code, Context, Failure, Result};
use fos_host::repository;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The list.
const LIST: &str = "tests/mutants.md";
/// A test that runs longer has noticed: most mutants that hang wait for what never comes.
const TEST_WITHIN: Duration = Duration::from_secs(120);

/// A bug and who must notice it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Mutant {
    name: String,
    file: String,
    package: String,
    test: String,
    old: Vec<String>,
    new: Vec<String>,
}

/// The mutants of the list, all of which apply to the tree as it is.
pub fn list() -> Result<Vec<Mutant>> {
    let text = read(&repository::root().join(LIST))?;
    let mutants = parse(&text);
    if mutants.is_empty() {
        return Err(Failure::new(Code::Failed, format!("{LIST} lists no mutant")));
    }
    for mutant in &mutants {
        planted(mutant, &read(&repository::root().join(&mutant.file))?)?;
    }
    Ok(mutants)
}

/// Plants each mutant and counts whether it was noticed.
pub fn run(runner: &mut Runner) {
    let mut made = Ok((Vec::new(), PathBuf::new()));
    runner.test("the tests that are to notice mutants pass without them", || {
        made = list().and_then(|mutants| Ok((mutants, copied_tree()?)));
        let (mutants, tree) = made.as_ref().map_err(Clone::clone)?;
        let mut packages: Vec<&str> = mutants.iter().map(|mutant| mutant.package.as_str()).collect();
        packages.dedup();
        packages.iter().try_for_each(|package| match noticed(tree, package, "")? {
            false => Ok(()),
            true => fail(format!("tests of {package} fail without a mutant")),
        })
    });
    for mutant in made.as_ref().map(|(mutants, _)| mutants.as_slice()).unwrap_or_default() {
        let tree = made.as_ref().map(|(_, tree)| tree.as_path()).unwrap_or(Path::new(""));
        runner.test(format!("{} notices: {}", mutant.test, mutant.name), || caught(tree, mutant));
    }
}

fn caught(tree: &Path, mutant: &Mutant) -> Outcome {
    let path = tree.join(&mutant.file);
    let original = read(&path)?;
    write(&path, &planted(mutant, &original)?)?;
    let outcome = noticed(tree, &mutant.package, &mutant.test);
    write(&path, &original)?;
    if outcome? { Ok(()) } else { fail("it passes") }
}

/// Whether a test fails or hangs; all tests of the package if none is named.
fn noticed(tree: &Path, package: &str, test: &str) -> Result<bool> {
    let cargo = |arguments: &[&str]| {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(tree).args(["test", "--quiet", "--lib", "-p", package]).args(arguments);
        command.env("CARGO_TARGET_DIR", target()).env("CARGO_TERM_COLOR", "never");
        command
    };
    let built = collect(&mut cargo(&["--no-run"]), BUILD_WITHIN)?;
    if !built.status.success() {
        return Err(Failure::new(Code::Failed, format!("it does not compile:\n{}", built.errors.trim_end())));
    }
    let arguments: &[&str] = if test.is_empty() { &[] } else { &["--", "--exact", test] };
    match collect(&mut cargo(arguments), TEST_WITHIN) {
        Err(failure) if failure.code == Code::TimedOut => Ok(true),
        Err(failure) => Err(failure),
        Ok(said) if !test.is_empty() && !said.output.contains("running 1 test\n") => {
            Err(Failure::new(Code::Failed, format!("{package} has no test {test}")))
        }
        Ok(said) => Ok(!said.status.success()),
    }
}

fn target() -> PathBuf {
    repository::target().join("mutants")
}

/// A copy of the tree's sources. Files that did not change keep their times, so that cargo builds them once.
fn copied_tree() -> Result<PathBuf> {
    let (from, to) = (repository::root(), target().join("tree"));
    copy_folder(&from, &to)?;
    Ok(to)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    let doing = format!("copying {}", from.display());
    std::fs::create_dir_all(to).doing(&doing)?;
    for entry in std::fs::read_dir(from).doing(&doing)? {
        let entry = entry.doing(&doing)?;
        let (name, source) = (entry.file_name(), entry.path());
        if name == "target" || name.to_string_lossy().starts_with('.') {
            continue;
        }
        let copy = to.join(&name);
        if entry.file_type().doing(&doing)?.is_dir() {
            copy_folder(&source, &copy)?;
        } else {
            let bytes = std::fs::read(&source).doing(&doing)?;
            if std::fs::read(&copy).ok().as_ref() != Some(&bytes) {
                std::fs::write(&copy, bytes).doing(&doing)?;
            }
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).doing(format_args!("reading {}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).doing(format_args!("writing {}", path.display()))
}

/// Entries: a heading, a line of three names between backquotes, and a block of lines that go and come.
fn parse(text: &str) -> Vec<Mutant> {
    let entries = text.split("\n## ").skip(1);
    entries
        .filter_map(|entry| {
            let (name, body) = entry.split_once('\n')?;
            let mut names = body.lines().find(|line| line.starts_with('`'))?.split('`').skip(1).step_by(2);
            let mut next = || names.next().map(str::to_owned);
            let (file, package, test) = (next()?, next()?, next()?);
            let block = body.split_once("```diff\n")?.1.split("```").next()?;
            let side =
                |sign| block.lines().filter_map(|line| line.strip_prefix(sign)).map(str::to_owned).collect();
            Some(Mutant { name: name.to_owned(), file, package, test, old: side('-'), new: side('+') })
        })
        .collect()
}

/// A file's text with the mutant in it.
fn planted(mutant: &Mutant, text: &str) -> Result<String> {
    let lines: Vec<&str> = text.lines().collect();
    let matches =
        |window: &[&str]| window.iter().zip(&mutant.old).all(|(line, old)| line.trim() == old.trim());
    let places: Vec<usize> = lines
        .windows(mutant.old.len().max(1))
        .enumerate()
        .filter_map(|(place, window)| matches(window).then_some(place))
        .collect();
    let &[place] = places.as_slice() else {
        let count = places.len();
        let message = format!("mutant {:?}: its lines are in {} {count} times", mutant.name, mutant.file);
        return Err(Failure::new(Code::Failed, message));
    };
    let (before, after) = (&lines[..place], &lines[place + mutant.old.len()..]);
    let new: Vec<&str> = mutant.new.iter().map(String::as_str).collect();
    Ok([before, &new, after].concat().join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Mutants\n\nwords\n\n## a bug\n\n`src/lib.rs`, `crate`, `tests::it`\n\n\
                        ```diff\n-let a = 1;\n-b();\n+b();\n```\n";

    #[test]
    fn an_entry_is_read() {
        let mutants = parse(TEXT);
        assert_eq!(mutants.len(), 1);
        let mutant = &mutants[0];
        assert_eq!((mutant.name.as_str(), mutant.file.as_str()), ("a bug", "src/lib.rs"));
        assert_eq!((mutant.package.as_str(), mutant.test.as_str()), ("crate", "tests::it"));
        assert_eq!((mutant.old.len(), mutant.new.len()), (2, 1));
    }

    #[test]
    fn a_mutant_is_planted_whatever_the_indentation() {
        let mutant = &parse(TEXT)[0];
        assert_eq!(planted(mutant, "x\n    let a = 1;\n    b();\ny\n").unwrap(), "x\nb();\ny\n");
    }

    #[test]
    fn a_mutant_that_does_not_apply_or_applies_twice_is_refused() {
        let mutant = &parse(TEXT)[0];
        assert!(planted(mutant, "x\n").is_err());
        assert!(planted(mutant, "let a = 1;\nb();\nlet a = 1;\nb();\n").is_err());
    }
}
