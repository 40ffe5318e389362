//! What `explain` prints.

use expect_test::expect;

use super::descriptions::Descriptions;
use super::{Shape, explain, wrapped};
use crate::machinery::schema;

fn of_pod(path: &[&str], texts: &str) -> String {
    let pod = schema::lookup("v1", "Pod").expect("there are pods");
    let path: Vec<String> = path.iter().map(|&name| name.to_owned()).collect();
    let (text, failure) = explain(Shape::Struct(pod), ("Pod", "v1"), &path, false, &Descriptions::of_text(texts));
    text + &failure.map_or_else(String::new, |failure| failure.text())
}

#[test]
fn fields_are_listed_with_their_types() {
    expect![[r#"
        KIND:       Pod
        VERSION:    v1

        FIELD: ports <[]ContainerPort>


        DESCRIPTION:
            <empty>
        FIELDS:
          containerPort	<integer> -required-
            <no description>

          hostIP	<string>
            <no description>

          hostPort	<integer>
            <no description>

          name	<string>
            <no description>

          protocol	<string>
            <no description>


    "#]]
    .assert_eq(&of_pod(&["spec", "containers", "ports"], ""));
    expect![[r#"
        KIND:       Pod
        VERSION:    v1

        error: field "nosuch" does not exist
    "#]]
    .assert_eq(&of_pod(&["spec", "nosuch"], ""));
}

#[test]
fn a_field_is_described_before_its_type() {
    let texts = "= core ContainerPort\nContainerPort represents a network port.\n\tprotocol\tProtocol for port.\\nMust be \
                 UDP, TCP, or SCTP.\n= core Container\nA single application container.\n\tports\tList of ports to \
                 expose.\n";
    let text = of_pod(&["spec", "containers", "ports"], texts);
    let begin =
        "DESCRIPTION:\n    List of ports to expose.\n    ContainerPort represents a network port.\n    \nFIELDS:\n";
    assert!(text.contains(begin), "{text}");
    assert!(
        text.contains("  protocol\t<string>\n    Protocol for port.\n    Must be UDP, TCP, or SCTP.\n\n"),
        "{text}"
    );
}

#[test]
fn the_descriptions_that_the_page_serves_are_of_the_table_s_types() {
    let texts = include_str!("../../../assets/descriptions.txt");
    let text = of_pod(&["spec", "restartPolicy"], texts);
    assert!(text.contains("Restart policy for all containers within the pod."), "{text}");
    assert!(text.contains("<string>\nENUM:\n    Always\n    Never\n    OnFailure\n"), "{text}");
    for (version, kind, path) in
        [("apps/v1", "Deployment", "strategy"), ("autoscaling/v2", "HorizontalPodAutoscaler", "maxReplicas")]
    {
        let kind = schema::lookup(version, kind).expect("there is such a kind");
        let path = ["spec".to_owned(), path.to_owned()];
        let (text, failure) = explain(Shape::Struct(kind), ("", version), &path, true, &Descriptions::of_text(texts));
        assert!(failure.is_none() && !text.contains("<empty>"), "{text}");
    }
}

#[test]
fn lines_break_between_words() {
    assert_eq!(wrapped("aaa bbb ccc", 7), "aaa bbb\nccc");
    assert_eq!(wrapped("aaaaaaaaaa b", 4), "aaaaaaaaaa\nb");
    assert_eq!(wrapped("a\nb  c", 9), "a\nb  c");
}
