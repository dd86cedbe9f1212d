//! Every name from one down, as naming has them while it is asked. A name that goes meanwhile is left out.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use fos_messages::names::{NameError, Path};
use fos_messages::rpc::CallError;
use fos_runtime::Names as Naming;

use crate::{FAILED, NOT_FOUND, Names};

/// An exit status, and a sentence for people.
pub type Failure = (u8, String);

/// Every name from one down.
pub async fn read(naming: &Naming, top: &Path) -> Result<Names, Failure> {
    let (mut names, mut left) = (Names::new(), Vec::from([top.clone()]));
    while let Some(path) = left.pop() {
        let found = async {
            let description = naming.describe(&path).await?;
            Ok((description, naming.list(&path).await?))
        };
        match found.await {
            Ok((description, below)) => {
                left.extend(below.iter().rev().filter_map(|name| path.child(name).ok()));
                names.push((path, description));
            }
            Err(CallError::Refused(NameError::NotFound)) if path == *top => {
                return Err((NOT_FOUND, format!("there is no name {:?}", path.as_str())));
            }
            Err(CallError::Refused(NameError::NotFound)) => {}
            Err(error) => return Err((FAILED, format!("naming does not answer: {error}"))),
        }
    }
    Ok(names)
}
