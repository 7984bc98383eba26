use super::*;

fn relative(component: &'static str, index: usize) -> PathError {
    PathError::RelativeComponent { component, index }
}

#[test]
fn paths_are_normalised() {
    for (text, normal) in [
        ("", "/"),
        ("/", "/"),
        ("//", "/"),
        ("a", "/a"),
        ("/a", "/a"),
        ("/a/", "/a"),
        ("a/", "/a"),
        ("//a///b//", "/a/b"),
        ("a/b", "/a/b"),
        ("/...", "/..."),
        ("/.b", "/.b"),
        ("/..b", "/..b"),
        ("/a.", "/a."),
        ("/a../b", "/a../b"),
        ("/a b", "/a b"),
        ("/\u{65e5}\u{672c}", "/\u{65e5}\u{672c}"),
        ("\u{e9}", "/\u{e9}"),
        ("/a\u{a0}", "/a\u{a0}"),
        ("/\u{d7ff}\u{f900}\u{ffef}", "/\u{d7ff}\u{f900}\u{ffef}"),
    ] {
        assert_eq!(ZnodePath::parse(text).unwrap().as_str(), normal, "{text:?}");
    }
}

#[test]
fn a_sequential_name_may_be_empty() {
    for (text, normal) in [
        ("", "/"),
        ("/", "/"),
        ("//", "/"),
        ("a/", "/a/"),
        ("/a/", "/a/"),
        ("/a//", "/a/"),
        ("/a", "/a"),
        ("//a//b", "/a/b"),
    ] {
        assert_eq!(
            ZnodePath::parse_sequential(text).unwrap().as_str(),
            normal,
            "{text:?}"
        );
    }
}

#[test]
fn paths_that_servers_refuse_are_refused_with_the_place() {
    let forbidden = |character, index| PathError::ForbiddenCharacter { character, index };
    for (text, error) in [
        (".", relative(".", 0)),
        ("..", relative("..", 0)),
        ("/a/./b", relative(".", 3)),
        ("/a/../b", relative("..", 3)),
        ("/a/..", relative("..", 3)),
        ("/a/.", relative(".", 3)),
        ("/a//../", relative("..", 4)),
        ("/a\0", forbidden('\0', 2)),
        ("/\u{1}", forbidden('\u{1}', 1)),
        ("/a\u{1f}b", forbidden('\u{1f}', 2)),
        ("/\n", forbidden('\n', 1)),
        ("/\u{7f}", forbidden('\u{7f}', 1)),
        ("/\u{e9}\u{80}", forbidden('\u{80}', 3)),
        ("/\u{9f}", forbidden('\u{9f}', 1)),
        ("/\u{e000}", forbidden('\u{e000}', 1)),
        ("/\u{f8ff}", forbidden('\u{f8ff}', 1)),
        ("/\u{fff0}", forbidden('\u{fff0}', 1)),
        ("/\u{ffff}", forbidden('\u{ffff}', 1)),
        ("/\u{1f600}", forbidden('\u{1f600}', 1)),
    ] {
        assert_eq!(ZnodePath::parse(text), Err(error.clone()), "{text:?}");
        assert_eq!(ZnodePath::parse_sequential(text), Err(error), "{text:?}");
    }
    assert_eq!(
        ZnodePath::parse("/a/../b").unwrap_err().to_string(),
        "\"..\" at byte 3 is not a name: paths are always absolute"
    );
    assert_eq!(
        ZnodePath::parse("/a\0").unwrap_err().to_string(),
        "'\\0' at byte 2 is a character that servers refuse in a path"
    );
}

#[test]
fn a_normal_path_is_not_copied() {
    for text in ["/", "/a", "/a/b.c/\u{65e5}"] {
        assert!(matches!(
            ZnodePath::parse(text).unwrap().into_cow(),
            Cow::Borrowed(_)
        ));
    }
    assert!(matches!(
        ZnodePath::parse_sequential("/a/").unwrap().into_cow(),
        Cow::Borrowed(_)
    ));
    assert!(matches!(
        ZnodePath::parse("").unwrap().into_cow(),
        Cow::Borrowed("/")
    ));
}

#[test]
fn parents_and_names() {
    for (text, parent, name) in [
        ("/", None, ""),
        ("/a", Some("/"), "a"),
        ("/a/b", Some("/a"), "b"),
        ("/a/b/c", Some("/a/b"), "c"),
    ] {
        let path = ZnodePath::parse(text).unwrap();
        assert_eq!(path.parent().as_ref().map(ZnodePath::as_str), parent);
        assert_eq!((path.name(), path.is_root()), (name, text == "/"));
    }
    let sequential = ZnodePath::parse_sequential("/a/").unwrap();
    assert_eq!(
        (sequential.parent().unwrap().as_str(), sequential.name()),
        ("/a", "")
    );
}

#[test]
fn joining() {
    for (path, below, joined) in [
        ("/a", "b", "/a/b"),
        ("/a", "/b", "/a/b"),
        ("/a", "b//c/", "/a/b/c"),
        ("/", "b", "/b"),
        ("/", "/b", "/b"),
        ("/a", "", "/a"),
        ("/a", "/", "/a"),
        ("/", "", "/"),
    ] {
        assert_eq!(
            ZnodePath::parse(path)
                .unwrap()
                .join(below)
                .unwrap()
                .as_str(),
            joined
        );
    }
    assert_eq!(ZnodePath::ROOT.join("a/.."), Err(relative("..", 2)));
    assert_eq!(
        ZnodePath::parse_sequential("/a/")
            .unwrap()
            .join("b")
            .unwrap()
            .as_str(),
        "/a/b"
    );
}

#[test]
fn descent_goes_by_component() {
    for (path, ancestor, expected) in [
        ("/app", "/app", true),
        ("/app/a", "/app", true),
        ("/app/a", "/app/", true),
        ("/apple", "/app", false),
        ("/app", "/apple", false),
        ("/app", "/", true),
        ("/", "/", true),
        ("/", "/app", false),
        ("/app", "/app/a", false),
    ] {
        assert_eq!(
            ZnodePath::parse(path).unwrap().starts_with(ancestor),
            expected,
            "{path} {ancestor}"
        );
    }
}

#[test]
fn it_is_a_text() {
    let path = ZnodePath::parse("a//b").unwrap().into_owned();
    assert_eq!(path.to_string(), "/a/b");
    assert_eq!(path.as_ref(), "/a/b");
    assert_eq!(path, ZnodePath::parse("/a/b").unwrap());
    assert!(ZnodePath::ROOT < path);
}
