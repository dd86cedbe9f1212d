//! `NamesInterface`: number, version, name, operations and what reads.

use super::{arguments_from, beside, error_of, fallback, field, hygienic};
use crate::interface::Interface;
use crate::operation::Operation;
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;

pub fn make(interface: &Interface) -> TokenStream {
    let Interface { visibility, name, id, version, .. } = interface;
    let (itself, fallback, text) = (beside(interface, "Interface"), fallback(), name.to_string());
    let document = format!("What is known of [`{name}`] beside its code.");
    let operations = interface.operations.iter().zip(0u16..).map(|(operation, number)| {
        let (operation_name, answer_max) = (operation.name.unraw().to_string(), answer_max(operation));
        let Operation { is_post, is_idempotent, .. } = operation;
        quote! {
            ::fos_messages::rpc::Operation {
                interface: #id,
                version: #version,
                number: #number,
                name: #operation_name,
                is_post: #is_post,
                is_idempotent: #is_idempotent,
                answer_max: #answer_max,
            }
        }
    });
    let reads = reads(interface);
    quote_spanned! {hygienic()=>
        #[doc = #document]
        #[derive(Clone, Copy, Debug)]
        #visibility enum #itself {}

        const _: () = {
            #fallback

            #[automatically_derived]
            impl ::fos_messages::rpc::Interface for #itself {
                const ID: u16 = #id;
                const VERSION: u8 = #version;
                const NAME: &'static str = #text;
                const OPERATIONS: &'static [::fos_messages::rpc::Operation] = &[#(#operations),*];

                fn reads(part: ::fos_messages::rpc::Part, operation: u16, body: &[u8]) -> bool {
                    #reads
                }
            }

            // Evaluated also where nobody uses the interface yet, so that a missing bound is noticed.
            const _: &[::fos_messages::rpc::Operation] = <#itself as ::fos_messages::rpc::Interface>::OPERATIONS;
        };
    }
}

/// The bound of an answer: what was given, or what follows from its types, or an error at the operation's name.
fn answer_max(operation: &Operation) -> TokenStream {
    if operation.is_post {
        return quote!(0);
    }
    let name = &operation.name;
    let (value, error) = (field(&operation.value, "SIZE_MAX"), field(&error_of(operation), "SIZE_MAX"));
    let bound = quote!(::fos_messages::rpc::generated::longer(#value, #error));
    match &operation.answer_max {
        Some(given) => {
            let message = format!("`answer_max` of `{name}` is less than its answer may take");
            quote_spanned! {given.span()=> {
                const GIVEN: usize = #given;
                match #bound {
                    ::core::option::Option::Some(bound) if bound > GIVEN => ::core::panic!(#message),
                    _ => GIVEN,
                }
            }}
        }
        None => {
            let message = format!(
                "the answer of `{name}` has no bound of itself: write `#[operation(answer_max = BYTES)]`, or derive \
                 `Scalar` for its types"
            );
            quote_spanned! {name.span()=>
                match #bound {
                    ::core::option::Option::Some(bound) => bound,
                    ::core::option::Option::None => ::core::panic!(#message),
                }
            }
        }
    }
}

fn reads(interface: &Interface) -> TokenStream {
    let part = quote!(::fos_messages::rpc::Part);
    let body = quote_spanned!(hygienic()=> body);
    let cases = interface.operations.iter().zip(0u16..).map(|(operation, number)| {
        let request = arguments_from(operation, &body);
        let (value, error) = (field(&operation.value, "read"), field(&error_of(operation), "read"));
        quote! {
            (#part::Request, #number) => #request.is_some(),
            (#part::Value, #number) => ::fos_messages::rpc::wire::whole(#body, #value).is_some(),
            (#part::Refusal, #number) => ::fos_messages::rpc::wire::whole(#body, #error).is_some(),
        }
    });
    quote_spanned! {hygienic()=>
        match (part, operation) {
            #(#cases)*
            _ => false,
        }
    }
}
