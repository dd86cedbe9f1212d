//! `#[derive(Scalar)]`: the fields one after the other, or one byte for the variant.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DataEnum, DataStruct, DeriveInput, Error, Result};

/// Variants that one byte tells apart.
const VARIANTS_MAX: usize = 256;

/// Makes the implementation.
pub fn derive(item: TokenStream) -> Result<TokenStream> {
    let DeriveInput { ident: name, generics, data, .. } = syn::parse2(item)?;
    if !generics.params.is_empty() {
        return Err(Error::new_spanned(generics, "a scalar has no parameters"));
    }
    let (size, write, read) = match data {
        Data::Struct(data) => of_struct(&data),
        Data::Enum(data) => of_enum(&data)?,
        Data::Union(data) => {
            return Err(Error::new_spanned(data.union_token, "a scalar is a struct or an enum"));
        }
    };
    Ok(quote! {
        #[automatically_derived]
        impl ::fos_messages::rpc::wire::Scalar for #name {
            const SIZE: usize = #size;
            #[inline]
            fn write(self, bytes: &mut ::fos_messages::rpc::generated::Vec<u8>) {
                #write
            }
            #[inline]
            fn read(bytes: &mut &[u8]) -> ::core::option::Option<Self> {
                #read
            }
        }
    })
}

fn of_struct(data: &DataStruct) -> (TokenStream, TokenStream, TokenStream) {
    let types: Vec<_> = data.fields.iter().map(|field| &field.ty).collect();
    let members: Vec<_> = data.fields.members().collect();
    let size = quote!(0 #(+ <#types as ::fos_messages::rpc::wire::Scalar>::SIZE)*);
    let write = quote! {
        let _ = &bytes;
        #(::fos_messages::rpc::wire::Scalar::write(self.#members, bytes);)*
    };
    let read = quote! {
        let _ = &bytes;
        ::core::option::Option::Some(Self {
            #(#members: <#types as ::fos_messages::rpc::wire::Scalar>::read(bytes)?,)*
        })
    };
    (size, write, read)
}

fn of_enum(data: &DataEnum) -> Result<(TokenStream, TokenStream, TokenStream)> {
    if let Some(variant) = data.variants.iter().find(|variant| !variant.fields.is_empty()) {
        let message = "a scalar's variants have no fields: derive serde's traits for an enum that has some";
        return Err(Error::new_spanned(&variant.fields, message));
    }
    if data.variants.is_empty() || data.variants.len() > VARIANTS_MAX {
        let message = format!("a scalar enum has 1 to {VARIANTS_MAX} variants: its number is one byte");
        return Err(Error::new_spanned(data.enum_token, message));
    }
    let names: Vec<_> = data.variants.iter().map(|variant| &variant.ident).collect();
    let numbers: Vec<u8> = (0..=u8::MAX).take(names.len()).collect();

    let write = quote! {
        let number: u8 = match self { #(Self::#names => #numbers,)* };
        bytes.push(number);
    };
    let read = quote! {
        match <u8 as ::fos_messages::rpc::wire::Scalar>::read(bytes)? {
            #(#numbers => ::core::option::Option::Some(Self::#names),)*
            #[allow(unreachable_patterns)]
            _ => ::core::option::Option::None,
        }
    };
    Ok((quote!(1), write, read))
}
