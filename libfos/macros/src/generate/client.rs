//! `NamesClient`: a method per operation, which writes the arguments and reads the answer.

use super::{beside, error_of, fallback, field, hygienic};
use crate::interface::Interface;
use crate::operation::{Argument, Operation};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

pub fn make(interface: &Interface) -> TokenStream {
    let Interface { visibility, name, .. } = interface;
    let (client, fallback) = (beside(interface, "Client"), fallback());
    let document = format!("Calls a server of [`{name}`].");
    let methods = interface
        .operations
        .iter()
        .enumerate()
        .map(|(number, operation)| method(interface, operation, number));
    quote_spanned! {hygienic()=>
        #[doc = #document]
        #[derive(Clone, Copy, Debug)]
        #visibility struct #client<C> {
            caller: C,
            to: ::fos_messages::rpc::Address,
        }

        const _: () = {
            #fallback

            #[allow(dead_code, reason = "a program makes the calls that it needs, or only serves")]
            impl<C: ::fos_messages::rpc::Caller> #client<C> {
                /// Calls the server there.
                pub fn new(caller: C, to: ::fos_messages::rpc::Address) -> Self {
                    #client { caller, to }
                }

                /// The same calls to another server.
                pub fn at(&self, to: ::fos_messages::rpc::Address) -> Self
                where
                    C: ::core::clone::Clone,
                {
                    #client { caller: ::core::clone::Clone::clone(&self.caller), to }
                }

                /// Whom it calls.
                pub fn address(&self) -> &::fos_messages::rpc::Address {
                    &self.to
                }

                #(#methods)*
            }
        };
    }
}

fn method(interface: &Interface, operation: &Operation, number: usize) -> TokenStream {
    let Operation { attributes, name, arguments, value, .. } = operation;
    let (itself, error) = (beside(interface, "Interface"), error_of(operation));
    let parameters = arguments.iter().map(|Argument { name, wire, is_lent, .. }| {
        let lent = is_lent.then(|| quote!(&));
        quote!(#name: #lent #wire)
    });
    let writes = arguments.iter().map(|Argument { name, wire, is_lent, .. }| {
        let write = field(wire, "write");
        let lend = (!is_lent).then(|| quote!(&));
        quote_spanned!(hygienic()=> ::fos_messages::rpc::generated::write(#lend #name, bytes, #write)?;)
    });
    let write = quote_spanned! {hygienic()=>
        &|bytes: &mut ::fos_messages::rpc::generated::Vec<u8>| {
            let _ = &bytes;
            #(#writes)*
            ::core::result::Result::Ok(())
        }
    };
    let which = quote!(const { &<#itself as ::fos_messages::rpc::Interface>::OPERATIONS[#number] });
    if operation.is_post {
        return quote_spanned! {hygienic()=>
            #(#attributes)*
            pub fn #name(&self, #(#parameters),*) -> ::core::result::Result<(), ::fos_messages::rpc::SendError> {
                self.caller.post(&self.to, #which, #write)
            }
        };
    }
    let (read_value, read_error) = (field(value, "read"), field(&error, "read"));
    quote_spanned! {hygienic()=>
        #(#attributes)*
        pub async fn #name(&self, #(#parameters),*)
            -> ::core::result::Result<#value, ::fos_messages::rpc::CallError<#error>>
        {
            let read = |answer: ::fos_messages::rpc::Answered<'_>| {
                ::fos_messages::rpc::generated::outcome(answer, #read_value, #read_error)
            };
            self.caller.call(&self.to, #which, #write, read).await
        }
    }
}
