//! The arguments of the attributes: words, and words with a value. Unknown and repeated ones are errors at the word.

use proc_macro2::{Ident, Span, TokenStream};
use syn::parse::{ParseStream, Parser};
use syn::{Error, Expr, Lit, Result, Token};

/// What an attribute was given.
pub struct Arguments(Vec<(Ident, Option<Expr>)>);

impl Arguments {
    /// Reads `word, word = value, ..`; `known` are the words there are.
    pub fn read(tokens: TokenStream, known: &[&str]) -> Result<Arguments> {
        let read_all = |input: ParseStream<'_>| {
            let mut all: Vec<(Ident, Option<Expr>)> = Vec::new();
            while !input.is_empty() {
                let word: Ident = input.parse()?;
                if !known.contains(&word.to_string().as_str()) {
                    let message = format!("`{word}` is not one of {}", list(known));
                    return Err(Error::new(word.span(), message));
                }
                if all.iter().any(|(other, _)| *other == word) {
                    return Err(Error::new(word.span(), format!("`{word}` is here twice")));
                }
                let value = input.parse::<Option<Token![=]>>()?.map(|_| input.parse()).transpose()?;
                all.push((word, value));
                if !input.is_empty() {
                    input.parse::<Token![,]>()?;
                }
            }
            Ok(Arguments(all))
        };
        read_all.parse2(tokens)
    }

    /// The place of a word, if it is there.
    pub fn place(&self, word: &str) -> Option<Span> {
        self.0.iter().find(|(given, _)| *given == word).map(|(given, _)| given.span())
    }

    /// Whether a word is there, which takes no value.
    pub fn has(&self, word: &str) -> Result<bool> {
        match self.0.iter().find(|(given, _)| *given == word) {
            Some((given, Some(_))) => Err(Error::new(given.span(), format!("`{word}` takes no value"))),
            found => Ok(found.is_some()),
        }
    }

    /// The value of a word, if it is there.
    pub fn value(&self, word: &str) -> Result<Option<&Expr>> {
        match self.0.iter().find(|(given, _)| *given == word) {
            Some((_, Some(value))) => Ok(Some(value)),
            Some((given, None)) => {
                Err(Error::new(given.span(), format!("`{word}` needs a value: `{word} = ..`")))
            }
            None => Ok(None),
        }
    }

    /// The number that a word has to have, from 1 to `max`.
    pub fn number(&self, word: &str, max: u64) -> Result<u64> {
        let value = self.value(word)?.ok_or_else(|| {
            Error::new(
                Span::call_site(),
                format!("an interface needs `{word} = ..`: a number from 1 to {max}"),
            )
        })?;
        let number = match value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Int(number) => number.base10_parse::<u64>().ok(),
                _ => None,
            },
            _ => None,
        };
        number.filter(|number| (1..=max).contains(number)).ok_or_else(|| {
            Error::new_spanned(value, format!("`{word}` is a number from 1 to {max}, written out"))
        })
    }
}

fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
