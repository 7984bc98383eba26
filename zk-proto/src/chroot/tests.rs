use super::*;

fn chroot(path: &str) -> Chroot {
    Chroot::parse(path).unwrap()
}

#[test]
fn parsing() {
    for (path, expected) in [
        ("", ""),
        ("/", ""),
        ("//", ""),
        ("/a", "/a"),
        ("a//b/", "/a/b"),
    ] {
        assert_eq!(chroot(path).as_str(), expected);
        assert_eq!(chroot(path).to_string(), expected);
        assert_eq!(chroot(path).is_root(), expected.is_empty());
    }
    assert!(Chroot::parse("/a/..").is_err());
    assert_eq!(
        (chroot(""), Chroot::default()),
        (Chroot::ROOT, Chroot::none())
    );
}

#[test]
fn joining() {
    for (above, below, expected) in [
        ("/a", "b", "/a/b"),
        ("/a", "/b/c/", "/a/b/c"),
        ("", "b", "/b"),
        ("/a", "/", "/a"),
        ("", "", ""),
    ] {
        assert_eq!(chroot(above).join(below), Ok(chroot(expected)));
    }
    assert!(chroot("/a").join("..").is_err());
}

#[test]
fn paths_go_to_the_server_and_come_back() {
    for (prefix, path, full) in [
        ("", "/", "/"),
        ("", "/a", "/a"),
        ("/app", "/", "/app"),
        ("/app", "/a", "/app/a"),
        ("/app/x", "/a/b", "/app/x/a/b"),
    ] {
        let chroot = chroot(prefix);
        assert_eq!(chroot.full(path), full);
        assert_eq!(chroot.strip(full), Some(path));
        let mut out = Vec::new();
        chroot.put_path(path, &mut out);
        let mut expected = Vec::new();
        crate::put_text(&mut expected, full);
        assert_eq!(out, expected);
        let mut text = full.to_owned();
        chroot.strip_in_place(&mut text);
        assert_eq!(text, path);
    }
}

#[test]
fn paths_from_elsewhere_stay_as_they_are() {
    for (prefix, path) in [
        ("/app", "/apple"),
        ("/app", "/zookeeper/config"),
        ("/app", "/"),
        ("/app", ""),
        ("/a", "/ab"),
        ("/app/x", "/app"),
        ("/app", "app/a"),
    ] {
        assert_eq!(chroot(prefix).strip(path), None, "{prefix} {path}");
        let mut text = path.to_owned();
        chroot(prefix).strip_in_place(&mut text);
        assert_eq!(text, path);
    }
    assert_eq!(Chroot::ROOT.strip("relative"), Some("relative"));
}

#[test]
fn an_empty_sequential_name_stays_below_the_chroot() {
    let put = |prefix: &str, path: &str| {
        let mut out = Vec::new();
        chroot(prefix).put_sequential_path(path, &mut out);
        String::from_utf8(out.split_off(4)).unwrap()
    };
    assert_eq!(put("/app", "/"), "/app/");
    assert_eq!(put("/app", "/q/"), "/app/q/");
    assert_eq!(put("/app", "/q-"), "/app/q-");
    assert_eq!(put("", "/"), "/");
}
