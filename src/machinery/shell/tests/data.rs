//! Aliases, and the languages that pick data apart: `awk`, `jq`, `column` and their like.

use expect_test::expect;

use super::harness::check;

const PODS: &str = "printf 'NAME READY STATUS\\nweb-1 1/1 Running\\nweb-2 0/1 Pending\\ndb-0 1/1 Running\\n'";

#[test]
fn aliases_stand_for_what_begins_a_command() {
    check(
        "alias ll='ls -l' say='echo you said' say2='say twice'\nsay a; say2 b | cat\nalias say\nalias echo='echo more'\necho x\nunalias say && say c",
        expect![[r#"
            you said a
            you said twice b
            say='echo you said'
            more x
            more you said c
        "#]],
    );
    // Within its own text a name is not replaced again, and behind a blank the next word may be an alias too.
    check(
        "alias run='command ' hi='echo hi' half='echo one; echo'\nrun hi there\nhalf two\nif true; then hi; fi\nunalias -a; unalias no",
        expect![[r#"
            hi there
            one
            two
            hi
            sh: unalias: line 4: no: not found
            exit 1
        "#]],
    );
}

#[test]
fn awk_picks_columns_and_adds_up() {
    check(
        &format!(
            "{PODS} | awk 'NR>1 && $3==\"Running\" {{print $1}}'; {PODS} | awk '/Running/{{n++}} END{{print n, NR}}'; {PODS} | awk '{{c[$3]++}} END {{for (s in c) print s, c[s]}}'"
        ),
        expect![[r#"
            web-1
            db-0
            2 4
            Pending 1
            Running 2
            STATUS 1
        "#]],
    );
    check(
        r#"echo a:b:c | awk -F: -v n=2 '{print $n, $NF, NF; $2="x"; print; print length($0), substr($1 $3, 2), toupper($1)}' OFS=-
           echo '3 4.5' | awk '{s=$1+$2; printf "%5.2f|%-4d|%s\n", s, s, s/0.3; print (s>7 ? "more" : "less"); x=$1; while (x>1) x--; print x, 7%4, 2^3}'
           printf 'k: v\nx\ny: z\n' | awk -F': ' 'NF<2 {next} {sub(/z/, "<&>"); gsub(/[kv]/, "_"); print $1 "=" $2}'
           awk 'BEGIN { n = split("a,b,c", p, ","); for (i = n; i > 0; i--) printf "%s ", p[i]; print ""; if (!("d" in p)) exit 3 }'; echo $?
           printf '1\n2\n3\n4\n' | awk '/2/,/3/'
           awk '{print $1'; awk 'BEGIN{while(1);}'"#,
        expect![[r#"
            b-c-3
            a-x-c
            5-c-A
             7.50|7   |25
            more
            1 3 8
            _=_
            y=<z>
            c b a 
            3
            2
            3
            awk: unexpected end of program
            awk: this goes on for too long
            exit 2
        "#]],
    );
}

#[test]
fn jq_filters_json() {
    let json = r#"cat > /tmp/p <<'E'
{"items":[{"metadata":{"name":"web","labels":{"app":"web"}},"status":{"phase":"Running","restarts":3}},{"metadata":{"name":"db"},"status":{"phase":"Pending","restarts":0}}]}
E
"#;
    check(
        &format!(
            r#"{json}jq -r '.items[].metadata.name' /tmp/p; jq '.items | length' < /tmp/p; jq -c '.items[0].metadata' /tmp/p
               jq -r '.items[] | select(.status.phase=="Running") | "\(.metadata.name): \(.status.restarts + 1)"' /tmp/p
               jq -c '[.items[] | {{name: .metadata.name, app: (.metadata.labels.app // "none")}}]' /tmp/p
               jq -r '.items | map(.status.restarts) | add, max, (sort | reverse | tostring)' /tmp/p
               jq '.items[1].metadata' /tmp/p
               jq -c '.items[0] | keys, has("spec"), (.metadata.labels | to_entries)' /tmp/p
               jq -c 'del(.items[0].metadata, .items[1].status) | .items[0].status.phase |= ascii_downcase | .items[1].x = 1' /tmp/p
               jq -r --arg p Pending '.items[] | select(.status.phase==$p) | [.metadata.name, .status.restarts] | @tsv' /tmp/p
               jq -c 'group_by(.a) | map({{a: .[0].a, n: length}})' <<< '[{{"a":1}},{{"a":2}},{{"a":1}}]'
               jq -r '.a | @base64d' <<< '{{"a":"aGk="}}'; jq -c '.[1:], .[-1], (.[] | if . > 1 then "big" else "small" end)' <<< '[1,2]'
               jq -c 'reduce .[] as $x (0; . + $x)' <<< '[1,2]'; jq -r '.[] | test("^a")' <<< '["ab","b"]'
               jq '.[]' <<< null; jq '.a.b' <<< '{{"a":1}}'; jq '.a[' <<< 1; echo $?; jq -e .x <<< '{{}}'; echo $?; jq . <<< '{{"a":'"#
        ),
        expect![[r#"
            web
            db
            2
            {"name":"web","labels":{"app":"web"}}
            web: 4
            [{"name":"web","app":"web"},{"name":"db","app":"none"}]
            3
            3
            [3,0]
            {
              "name": "db"
            }
            ["metadata","status"]
            false
            [{"key":"app","value":"web"}]
            {"items":[{"status":{"phase":"running","restarts":3}},{"metadata":{"name":"db"},"x":1}]}
            db	0
            [{"a":1,"n":2},{"a":2,"n":1}]
            hi
            [2]
            2
            "small"
            "big"
            3
            true
            false
            jq: error (at <stdin>:1): Cannot iterate over null (null)
            jq: error (at <stdin>:1): Cannot index number with "b"
            jq: error: syntax error, unexpected end of file at <top-level>, line 1:
            .a[
            jq: 1 compile error
            3
            null
            1
            jq: parse error: Invalid literal at line 2, column 0
            exit 2
        "#]],
    );
}

#[test]
fn lines_side_by_side() {
    check(
        "printf 'a bb c\\nddd e f\\n' | column -t; printf 'x,y\\nzz,w\\n' | column -t -s,; seq 3 | paste -sd,; seq 4 | paste - -; printf 'a\\nb\\n' > /tmp/1; printf 'b\\nc\\n' > /tmp/2; comm -12 /tmp/1 /tmp/2; comm /tmp/1 /tmp/2; diff /tmp/1 /tmp/2; echo $?; export WHO=you; echo 'to $WHO, ${WHO} and $NO' | envsubst; printf abc | sha256sum | cut -c1-8",
        expect![[r#"
            a    bb  c
            ddd  e   f
            x   y
            zz  w
            1,2,3
            1	2
            3	4
            b
            a
            		b
            	c
            --- /tmp/1
            +++ /tmp/2
            @@ -1,2 +1,2 @@
            -a
             b
            +c
            1
            to you, you and 
            ba7816bf
        "#]],
    );
}
