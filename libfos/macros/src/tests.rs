//! Misuse: each case of `misuse.txt` is a text with, below a line, what is said of it and where:
//! `// ^^^^ an interface is a trait` points at the columns above the carets. Cases are separated by empty lines. What the
//! compiler says of what only it can see is tested by the suite `messages`, in cases of the same form.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// What is said: line and columns, from 1 and from 0, and the words.
type Said = (usize, usize, usize, String);

/// Runs the macro that the first attribute of the text names.
fn expand(text: &str) -> syn::Result<TokenStream> {
    let mut tokens = text.parse::<TokenStream>().expect("a case is tokens").into_iter();
    let attribute = match (tokens.next(), tokens.next()) {
        (Some(TokenTree::Punct(_)), Some(TokenTree::Group(group)))
            if group.delimiter() == Delimiter::Bracket =>
        {
            group
        }
        other => panic!("a case begins with an attribute, not {other:?}"),
    };
    let mut words = attribute.stream().into_iter();
    let (name, arguments) = (words.next(), words.next());
    let arguments = match arguments {
        Some(TokenTree::Group(group)) => group.stream(),
        _ => TokenStream::new(),
    };
    match name.map(|name| name.to_string()).as_deref() {
        Some("interface") => crate::interface::read(arguments, tokens.collect())
            .map(|interface| crate::generate::all(&interface)),
        Some("derive") => crate::scalar::derive(tokens.collect()),
        other => panic!("no macro is called {other:?}"),
    }
}

/// What should be said of a case.
fn expected(case: &str) -> Vec<Said> {
    let mut line_above = 0;
    let mut said: Vec<Said> = Vec::new();
    for (line, text) in case.lines().enumerate() {
        let words =
            text.trim_start().strip_prefix("//").map(str::trim_start).filter(|rest| rest.starts_with('^'));
        let Some(words) = words else {
            line_above = line + 1;
            continue;
        };
        let (start, end) = (text.find('^').unwrap(), text.rfind('^').unwrap() + 1);
        said.push((line_above, start, end, words.trim_start_matches('^').trim().to_owned()));
    }
    said
}

fn said(error: syn::Error) -> Vec<Said> {
    let place = |error: syn::Error| {
        let (start, end) = (error.span().start(), error.span().end());
        (start.line, start.column, end.column, error.to_string())
    };
    error.into_iter().map(place).collect()
}

#[test]
fn misuse_is_explained_where_it_is() {
    let cases: Vec<&str> = include_str!("tests/misuse.txt").split("\n\n").collect();
    let wrong = cases.iter().filter_map(|case| {
        let case = case.trim_matches('\n');
        let found = expand(case).map_or_else(said, |code| vec![(0, 0, 0, format!("accepted: {code}"))]);
        (found != expected(case)).then(|| format!("{case}\n--> {found:?}"))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(cases.len() > 30);
}

/// The texts in a source, but for those of attributes, which documents are.
fn texts(tokens: TokenStream, found: &mut Vec<String>) {
    let mut is_attribute = false;
    for token in tokens {
        match token {
            TokenTree::Group(ref group) if !is_attribute => texts(group.stream(), found),
            TokenTree::Literal(ref literal) => {
                let text = syn::parse_str::<syn::LitStr>(&literal.to_string());
                found.extend(text.ok().map(|text| text.value()));
            }
            _ => {}
        }
        let punct = match &token {
            TokenTree::Punct(punct) => punct.as_char(),
            _ => ' ',
        };
        is_attribute = punct == '#' || (is_attribute && punct == '!');
    }
}

/// Whatever the macro may say, a case or a test has.
#[test]
fn no_misuse_is_without_a_case() {
    let sources = [
        include_str!("arguments.rs"),
        include_str!("interface.rs"),
        include_str!("operation.rs"),
        include_str!("scalar.rs"),
    ];
    let mut all = Vec::new();
    sources.iter().for_each(|source| texts(source.parse().unwrap(), &mut all));
    let sentences: Vec<&String> = all.iter().filter(|text| text.contains(' ')).collect();
    assert!(sentences.len() > 30, "{sentences:?}");
    let cases = [include_str!("tests/misuse.txt"), include_str!("tests.rs")].concat();
    for sentence in sentences {
        // Between what is put into it.
        let pieces =
            sentence.split('{').flat_map(|piece| piece.split_once('}').map(|(_, rest)| rest).or(Some(piece)));
        let missing = pieces.filter(|piece| piece.len() > 3).find(|piece| !cases.contains(*piece));
        assert_eq!(missing, None, "no case has {sentence:?}");
    }
}

#[test]
fn what_needs_no_place_in_the_text_is_said_as_well() {
    for (text, words) in [
        ("#[interface(version = 1)] trait A {}", "an interface needs `id = ..`: a number from 1 to 65535"),
        ("#[interface(id = 1)] trait A {}", "an interface needs `version = ..`: a number from 1 to 255"),
        ("#[interface] trait A {}", "an interface needs `id = ..`: a number from 1 to 65535"),
    ] {
        assert_eq!(expand(text).unwrap_err().to_string(), words);
    }
}

#[test]
fn what_is_allowed_is_accepted() {
    let text = "#[interface(id = 7, version = 2)]
        /// Documented.
        pub(crate) trait Everything {
            /// Documented.
            #[operation]
            fn nothing(&self);
            #[operation(idempotent, answer_max = 1 << 10)]
            async fn r#move(&self, a: &str, b: &[(u8, u64)], c: Option<Vec<String>>, d: [u8; 16]) -> std::result::Result<Vec<u8>, Why>;
            #[operation(post)]
            async fn tell(&self, context: u8);
        }";
    let code = expand(text).unwrap();
    syn::parse2::<syn::File>(code).expect("it makes items");
}
