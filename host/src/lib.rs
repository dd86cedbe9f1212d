//! The `fos` command's parts, as a library: `main.rs` is the command, `tests/system` uses the same parts to boot
//! machines and talk to them. From the bottom up: what every part needs (`failure`, `talk`, `repository`), what makes
//! an image (`packages`, `guests`, `cargo`, `c`, `archive`, `image`), what runs one (`machine`), what looks at the tree
//! (`tidy`), and one file per subcommand (`commands`).

pub mod archive;
pub mod bench;
pub mod c;
pub mod cargo;
pub mod children;
pub mod cli;
pub mod commands;
pub mod data;
pub mod failure;
pub mod guests;
pub mod image;
pub mod linux_guest;
pub mod machine;
pub mod packages;
pub mod repository;
pub mod talk;
pub mod tidy;
