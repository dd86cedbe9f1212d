//! The code that is made of an interface. Names that it needs for itself are hygienic, so no argument's name disturbs it;
//! what an argument's or result's type may get wrong is reported at that type.

mod client;
mod description;
mod server;

use crate::interface::Interface;
use crate::operation::Operation;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;

/// Everything.
pub fn all(interface: &Interface) -> TokenStream {
    let parts = [description::make(interface), client::make(interface), server::make(interface)];
    parts.into_iter().collect()
}

/// The place of names that only generated code sees.
fn hygienic() -> Span {
    Span::mixed_site()
}

/// A name beside the interface's: `NamesClient`.
fn beside(interface: &Interface, suffix: &str) -> Ident {
    format_ident!("{}{suffix}", interface.name)
}

/// `Field::<T>::member`, all of it at the type's place, which is where the compiler then says that it does not apply.
fn field(of: &impl ToTokens, member: &str) -> TokenStream {
    let span = of.to_token_stream().span();
    let member = Ident::new(member, span);
    quote_spanned!(span=> ::fos_messages::rpc::generated::Field::<#of>::#member)
}

/// Brings the trait that [`field`] may need.
fn fallback() -> TokenStream {
    quote! {
        #[allow(unused_imports, reason = "an interface whose types all bring their codecs needs no fallback")]
        use ::fos_messages::rpc::generated::ByPostcard as _;
    }
}

/// The type of an operation's own error.
fn error_of(operation: &Operation) -> TokenStream {
    match &operation.error {
        Some(error) => error.to_token_stream(),
        None => quote!(::fos_messages::rpc::Never),
    }
}

/// Reads the arguments from all of `body`: an option of a tuple.
fn arguments_from(operation: &Operation, body: &TokenStream) -> TokenStream {
    let reads = operation.arguments.iter().map(|argument| field(&argument.owned, "read"));
    quote_spanned! {hygienic()=>
        ::fos_messages::rpc::wire::whole(#body, |bytes: &mut &[u8]| {
            let _ = &bytes;
            ::core::option::Option::Some((#(::fos_messages::rpc::generated::read(bytes, #reads)?,)*))
        })
    }
}

/// The arguments' names as a pattern or a list.
fn names(operation: &Operation) -> TokenStream {
    let names = operation.arguments.iter().map(|argument| &argument.name);
    quote!(#(#names,)*)
}
