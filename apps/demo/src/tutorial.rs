//! What docs/tutorial.md quotes is what stands in the files that it names.

use std::format;
use std::fs::read_to_string;
use std::path::Path;
use std::string::String;
use std::vec::Vec;

/// The lines without their indentation.
fn lines(text: &str) -> Vec<String> {
    text.lines().map(|line| line.trim().into()).collect()
}

#[test]
fn the_tutorial_quotes_the_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = read_to_string(root.join("docs/tutorial.md")).unwrap();
    let mut quotations = 0;
    for block in page.split("```").skip(1).step_by(2) {
        let (language, block) = block.split_once('\n').unwrap();
        let mark = if language == "toml" { "# " } else { "// " };
        if !["rust", "toml"].contains(&language) {
            continue;
        }
        let (file, quoted) = block.split_once('\n').unwrap();
        let file = file.strip_prefix(mark).unwrap();
        let code = lines(&read_to_string(root.join(file)).unwrap());
        for quotation in quoted.split(&format!("{mark}...\n")) {
            let quotation = lines(quotation);
            let is_there = code.windows(quotation.len()).any(|window| window == quotation);
            assert!(is_there, "{file} does not have what docs/tutorial.md quotes: {quotation:#?}");
            quotations += 1;
        }
    }
    assert!(quotations > 8, "{quotations}");
}
