//! What makes of a trait in `messages/` everything that a conversation needs: the client's stub, the server's trait and
//! dispatcher, the codec between them, and a description. docs/servers.md, "Interfaces", shows it in use; use it as
//! `fos_messages::rpc::interface`, since the code it makes names that crate.
//!
//! An interface is read in full before any code is made: [`interface::Interface`] holds only what is allowed, and
//! each thing that is not is an error at its place that says what to write instead.
#![forbid(unsafe_code)]

mod arguments;
mod generate;
mod interface;
mod operation;
mod scalar;
#[cfg(test)]
mod tests;

use proc_macro::TokenStream;

/// Makes an interface of a trait: `#[interface(id = 3, version = 1)]`. Of a trait `Names` come
///
/// - `Names`, what a server implements: each operation gets the request's `Context` first, references become owned, and
///   the result's error is an `Instead<E>`;
/// - `NamesDispatcher`, which makes a `Serve` of such a server;
/// - `NamesClient`, whose methods are the calls;
/// - `NamesInterface`, its number, version, name and operations.
///
/// Each function says what it is: `#[operation]`, with `idempotent` if doing it twice is the same as doing it once,
/// `answer_max = BYTES` if its answer has no bound of itself, or `post` if it wants no answer. An `async` one may wait in
/// the server and is a task there; one that is not is answered at once. Operations have numbers in the order of the text.
#[proc_macro_attribute]
pub fn interface(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand(interface::read(arguments.into(), item.into()).map(|interface| generate::all(&interface)))
}

/// Says what an operation of an interface is. Only inside of a trait with `#[interface]`, which takes it away.
#[proc_macro_attribute]
pub fn operation(_: TokenStream, item: TokenStream) -> TokenStream {
    let item = proc_macro2::TokenStream::from(item);
    let message =
        "`#[operation]` belongs on a function of a trait that has `#[interface(id = .., version = ..)]`";
    expand(Err(syn::Error::new_spanned(item, message)))
}

/// Makes a scalar of a struct of scalars or of an enum without fields.
#[proc_macro_derive(Scalar)]
pub fn scalar(item: TokenStream) -> TokenStream {
    expand(scalar::derive(item.into()))
}

fn expand(code: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    code.unwrap_or_else(|error| error.to_compile_error()).into()
}
