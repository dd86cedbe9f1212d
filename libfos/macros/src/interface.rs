//! An interface as it was written, checked.

use crate::arguments::Arguments;
use crate::operation::{self, Operation};
use proc_macro2::{Ident, TokenStream};
use syn::{Attribute, Error, Item, ItemTrait, Result, TraitItem, Visibility};

/// A trait with `#[interface]`.
pub struct Interface {
    /// Its attributes: documentation, mostly.
    pub attributes: Vec<Attribute>,
    /// Who may use it.
    pub visibility: Visibility,
    /// The trait's name.
    pub name: Ident,
    /// Its number.
    pub id: u16,
    /// Its version.
    pub version: u8,
    /// Its operations, by number.
    pub operations: Vec<Operation>,
}

/// Reads the attribute's arguments and what it stands on. All that is wrong with the operations is told at once.
pub fn read(arguments: TokenStream, item: TokenStream) -> Result<Interface> {
    let arguments = Arguments::read(arguments, &["id", "version"])?;
    let id = arguments.number("id", u16::MAX.into())? as u16;
    let version = arguments.number("version", u8::MAX.into())? as u8;
    let item = match syn::parse2::<Item>(item)? {
        Item::Trait(item) => item,
        other => return Err(Error::new_spanned(other, "an interface is a trait")),
    };
    check_head(&item)?;
    let mut operations = Vec::new();
    let mut errors: Option<Error> = None;
    for item in item.items {
        match read_item(item) {
            Ok(operation) => operations.push(operation),
            Err(error) => match &mut errors {
                Some(errors) => errors.combine(error),
                None => errors = Some(error),
            },
        }
    }
    if let Some(errors) = errors {
        return Err(errors);
    }
    if operations.is_empty() {
        return Err(Error::new_spanned(item.ident, "an interface needs an operation"));
    }
    Ok(Interface { attributes: item.attrs, visibility: item.vis, name: item.ident, id, version, operations })
}

fn check_head(item: &ItemTrait) -> Result<()> {
    if let Some(token) = &item.unsafety {
        return Err(Error::new_spanned(token, "an interface is no unsafe trait"));
    }
    if !item.generics.params.is_empty() || item.generics.where_clause.is_some() {
        let message = "an interface has no parameters: both sides must know every type";
        return Err(Error::new_spanned(&item.generics, message));
    }
    if !item.supertraits.is_empty() {
        let message = "an interface stands alone: what it needs of a server it says by operations";
        return Err(Error::new_spanned(&item.supertraits, message));
    }
    Ok(())
}

fn read_item(item: TraitItem) -> Result<Operation> {
    match item {
        TraitItem::Fn(function) => operation::read(function),
        other => Err(Error::new_spanned(other, "an interface has only operations, which are functions")),
    }
}
