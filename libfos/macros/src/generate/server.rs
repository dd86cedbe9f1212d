//! `Names` as a server implements it, and `NamesDispatcher`, which finds the operation, reads its arguments and writes
//! its answer.

use super::{arguments_from, beside, error_of, fallback, field, hygienic, names};
use crate::interface::Interface;
use crate::operation::{Argument, Operation};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

pub fn make(interface: &Interface) -> TokenStream {
    let Interface { attributes, visibility, name, .. } = interface;
    let (dispatcher, itself) = (beside(interface, "Dispatcher"), beside(interface, "Interface"));
    let fallback = fallback();
    let functions = interface.operations.iter().map(function);
    let cases = interface.operations.iter().enumerate().map(|(number, operation)| {
        let wanted = number as u16;
        let case = case(interface, operation, number);
        quote!(#wanted => { #case })
    });
    let document = format!("Takes the requests for a server of [`{name}`].");
    quote_spanned! {hygienic()=>
        #(#attributes)*
        #[allow(clippy::too_many_arguments, reason = "one more than the author wrote: the context")]
        #visibility trait #name: 'static {
            #(#functions)*
        }

        #[doc = #document]
        #[derive(Debug)]
        #visibility struct #dispatcher<S>(::fos_messages::rpc::generated::Rc<S>);

        const _: () = {
            #fallback

            #[allow(dead_code, reason = "a program that only asks serves nobody")]
            impl<S: #name> #dispatcher<S> {
                /// What a runtime serves for this server.
                pub fn new(server: ::fos_messages::rpc::generated::Rc<S>)
                    -> ::fos_messages::rpc::generated::Rc<Self>
                {
                    ::fos_messages::rpc::generated::Rc::new(#dispatcher(server))
                }
            }

            #[automatically_derived]
            impl<S: #name> ::fos_messages::rpc::Serve for #dispatcher<S> {
                fn speaks(&self) -> (u16, u8) {
                    (
                        <#itself as ::fos_messages::rpc::Interface>::ID,
                        <#itself as ::fos_messages::rpc::Interface>::VERSION,
                    )
                }

                fn serve(
                    self: ::fos_messages::rpc::generated::Rc<Self>,
                    operation: u16,
                    context: ::fos_messages::rpc::Context,
                    body: &[u8],
                    room: ::fos_messages::rpc::Outgoing,
                ) -> ::fos_messages::rpc::Served {
                    let _ = &room;
                    match operation {
                        #(#cases)*
                        _ => ::fos_messages::rpc::Served::Unknown,
                    }
                }
            }
        };
    }
}

/// An operation as a server implements it.
fn function(operation: &Operation) -> TokenStream {
    let Operation { attributes, name, arguments, value, .. } = operation;
    let parameters = arguments.iter().map(|Argument { name, owned, .. }| quote!(#name: #owned));
    let error = error_of(operation);
    let result = match operation.is_post {
        true => quote!(()),
        false => quote!(::core::result::Result<#value, ::fos_messages::rpc::Instead<#error>>),
    };
    let given = match operation.is_async {
        true => quote!(impl ::core::future::Future<Output = #result>),
        false => result,
    };
    quote_spanned! {hygienic()=>
        #(#attributes)*
        fn #name(&self, context: ::fos_messages::rpc::Context, #(#parameters),*) -> #given;
    }
}

/// What the dispatcher does with a request for an operation.
fn case(interface: &Interface, operation: &Operation, number: usize) -> TokenStream {
    let (name, names) = (&operation.name, names(operation));
    let server = &interface.name;
    let read = arguments_from(operation, &quote_spanned!(hygienic()=> body));
    let wait = operation.is_async.then(|| quote!(.await));
    let done = quote_spanned!(hygienic()=> <S as #server>::#name(&self.0, context, #names) #wait);
    let answer = match operation.is_post {
        true => quote_spanned! {hygienic()=> {
            #done;
            ::fos_messages::rpc::AnswerBody::Done(::core::default::Default::default())
        }},
        false => {
            let itself = beside(interface, "Interface");
            let (write_value, write_error) =
                (field(&operation.value, "write"), field(&error_of(operation), "write"));
            quote_spanned! {hygienic()=>
                ::fos_messages::rpc::generated::answer(
                    #done,
                    const { <#itself as ::fos_messages::rpc::Interface>::OPERATIONS[#number].answer_max },
                    room,
                    #write_value,
                    #write_error,
                )
            }
        }
    };
    let served = match operation.is_async {
        true => quote_spanned! {hygienic()=>
            ::fos_messages::rpc::Served::Task(::fos_messages::rpc::generated::Box::pin(async move { #answer }))
        },
        false => quote!(::fos_messages::rpc::Served::Answer(#answer)),
    };
    quote_spanned! {hygienic()=>
        let ::core::option::Option::Some((#names)) = #read else {
            return ::fos_messages::rpc::Served::Malformed;
        };
        #served
    }
}
