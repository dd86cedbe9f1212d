//! One operation as it was written, checked.

use crate::arguments::Arguments;
use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, Expr, FnArg, GenericArgument, Meta, Pat, PathArguments, Receiver, ReceiverKind, Result,
    ReturnType, Signature, TraitItemFn, Type, parse_quote,
};

/// Names that the client has for itself.
const CLIENTS_OWN: [&str; 3] = ["new", "at", "address"];

/// A function with `#[operation]`.
pub struct Operation {
    /// Its attributes but `#[operation]`: documentation, mostly.
    pub attributes: Vec<Attribute>,
    /// Its name.
    pub name: Ident,
    /// Whether a server may wait in it.
    pub is_async: bool,
    /// Whether it wants no answer.
    pub is_post: bool,
    /// Whether it may be done twice.
    pub is_idempotent: bool,
    /// The most bytes of its answer, as they were given.
    pub answer_max: Option<Expr>,
    /// What it is given.
    pub arguments: Vec<Argument>,
    /// What it gives.
    pub value: Type,
    /// Its own error; none if it has none.
    pub error: Option<Type>,
}

/// An argument.
pub struct Argument {
    /// Its name.
    pub name: Ident,
    /// Its type on the wire, maybe without a size: without the `&`.
    pub wire: Type,
    /// Whether the client lends it.
    pub is_lent: bool,
    /// What the server gets.
    pub owned: TokenStream,
}

/// Reads a function of an interface.
pub fn read(function: TraitItemFn) -> Result<Operation> {
    let TraitItemFn { mut attrs, sig: signature, default, .. } = function;
    let is_ours = |attribute: &Attribute| attribute.path().is_ident("operation");
    let ours = attrs.iter().position(is_ours).map(|place| attrs.remove(place));
    let ours = ours.ok_or_else(|| {
        let message = "say what this operation is: `#[operation]`, `#[operation(idempotent)]` if doing it twice is the \
                       same as doing it once, or `#[operation(post)]` if it wants no answer";
        Error::new_spanned(&signature.ident, message)
    })?;
    if let Some(again) = attrs.iter().find(|attribute| is_ours(attribute)) {
        return Err(Error::new_spanned(again, "an operation has one `#[operation]`"));
    }
    if let Some(body) = default {
        return Err(Error::new_spanned(body, "an operation has no body: servers give it theirs"));
    }
    check_signature(&signature)?;
    let options = options(&ours)?;
    let (value, error) = result_of(&signature.output)?;
    let operation = Operation {
        attributes: attrs,
        is_async: signature.asyncness.is_some(),
        is_post: options.has("post")?,
        is_idempotent: options.has("idempotent")?,
        answer_max: options.value("answer_max")?.cloned(),
        arguments: arguments(&signature)?,
        name: signature.ident,
        value,
        error,
    };
    if operation.is_post {
        check_post(&options, &signature.output)?;
    }
    Ok(operation)
}

fn options(attribute: &Attribute) -> Result<Arguments> {
    let tokens = match &attribute.meta {
        Meta::Path(_) => TokenStream::new(),
        Meta::List(list) => list.tokens.clone(),
        Meta::NameValue(pair) => {
            return Err(Error::new_spanned(pair, "options go in parentheses: `#[operation(idempotent)]`"));
        }
    };
    Arguments::read(tokens, &["idempotent", "post", "answer_max"])
}

fn check_post(options: &Arguments, output: &ReturnType) -> Result<()> {
    if let ReturnType::Type(_, given) = output {
        return Err(Error::new_spanned(given, "a post has no answer: leave out its result, or `post`"));
    }
    for (word, why) in [
        ("answer_max", "a post has no answer whose length could be bounded"),
        ("idempotent", "a post is not repeated, so it does not matter whether it is idempotent"),
    ] {
        if let Some(place) = options.place(word) {
            return Err(Error::new(place, why));
        }
    }
    Ok(())
}

fn check_signature(signature: &Signature) -> Result<()> {
    if CLIENTS_OWN.iter().any(|own| signature.ident == own) {
        let message = format!("every client has a `{}` of its own: choose another name", signature.ident);
        return Err(Error::new_spanned(&signature.ident, message));
    }
    if !signature.generics.params.is_empty() || signature.generics.where_clause.is_some() {
        let message = "an operation has no parameters: both sides must know every type";
        return Err(Error::new_spanned(&signature.generics, message));
    }
    let odd = [
        signature.constness.map(|token| token.span()),
        signature.abi.as_ref().map(Spanned::span),
        signature.variadic.as_ref().map(Spanned::span),
    ];
    if let Some(place) = odd.into_iter().flatten().next() {
        return Err(Error::new(place, "an operation is a plain `fn` or `async fn`"));
    }
    match signature.inputs.first() {
        Some(FnArg::Receiver(Receiver { kind: ReceiverKind::Reference(_, None, None), .. })) => Ok(()),
        Some(FnArg::Receiver(other)) => {
            let message = "an operation takes `&self`: a server has many requests under way at once";
            Err(Error::new_spanned(other, message))
        }
        _ => Err(Error::new_spanned(&signature.ident, "an operation takes `&self` first")),
    }
}

fn arguments(signature: &Signature) -> Result<Vec<Argument>> {
    let typed = signature.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    });
    typed
        .map(|typed| match &*typed.pat {
            Pat::Ident(name)
                if name.by_ref.is_none() && name.mutability.is_none() && name.subpat.is_none() =>
            {
                argument(name.ident.clone(), &typed.ty)
            }
            other => Err(Error::new_spanned(other, "an argument has a plain name")),
        })
        .collect()
}

fn argument(name: Ident, given: &Type) -> Result<Argument> {
    let Type::Reference(reference) = given else {
        check_owned(given, "only a whole argument may be a reference: own what is inside")?;
        return Ok(Argument { name, wire: given.clone(), is_lent: false, owned: given.to_token_stream() });
    };
    if let Some(token) = &reference.mutability {
        return Err(Error::new_spanned(token, "an argument is only read: the other side is elsewhere"));
    }
    if let Some(lifetime) = &reference.lifetime {
        return Err(Error::new_spanned(lifetime, "a lifetime says nothing here: write `&` alone"));
    }
    let wire = (*reference.elem).clone();
    check_owned(&wire, "only a whole argument may be a reference: own what is inside")?;
    let owned = match &wire {
        Type::Path(path) if path.path.is_ident("str") => {
            quote::quote!(::fos_messages::rpc::generated::String)
        }
        Type::Slice(slice) => {
            let element = &slice.elem;
            quote::quote!(::fos_messages::rpc::generated::Vec<#element>)
        }
        other => other.to_token_stream(),
    };
    Ok(Argument { name, wire, is_lent: true, owned })
}

/// The value's type and the error's.
fn result_of(output: &ReturnType) -> Result<(Type, Option<Type>)> {
    let ReturnType::Type(_, given) = output else { return Ok((parse_quote!(()), None)) };
    check_owned(given, "an answer owns what it says: the server that it came from is elsewhere")?;
    let Type::Path(path) = &**given else { return Ok(((**given).clone(), None)) };
    let Some(last) = path.path.segments.last().filter(|last| last.ident == "Result") else {
        return Ok(((**given).clone(), None));
    };
    let types: Vec<Type> = match &last.arguments {
        PathArguments::AngleBracketed(arguments) => arguments.args.iter().filter_map(type_of).collect(),
        _ => Vec::new(),
    };
    match <[Type; 2]>::try_from(types) {
        Ok([value, error]) => Ok((value, Some(error))),
        Err(_) => Err(Error::new_spanned(given, "write both types of the result: `Result<Value, Error>`")),
    }
}

fn type_of(argument: &GenericArgument) -> Option<Type> {
    match argument {
        GenericArgument::Type(given) => Some(given.clone()),
        _ => None,
    }
}

/// Refuses a type that borrows anything, has a parameter, or stands for several types.
fn check_owned(given: &Type, why: &str) -> Result<()> {
    if let Some(place) = borrows(given.to_token_stream()) {
        return Err(Error::new(place, why));
    }
    match given {
        Type::ImplTrait(_) | Type::TraitObject(_) | Type::Infer(_) => {
            Err(Error::new_spanned(given, "both sides must know the type: write it out"))
        }
        _ => Ok(()),
    }
}

/// Where something is borrowed: a `&` or a lifetime.
fn borrows(tokens: TokenStream) -> Option<Span> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Punct(sign) if matches!(sign.as_char(), '&' | '\'') => Some(sign.span()),
        TokenTree::Group(group) => borrows(group.stream()),
        _ => None,
    })
}
