//! Databases and their clients: what is told to them, what outlives them, and what they say when something is wrong.

use expect_test::{Expect, expect};

use super::world::{World, container, mount};
use crate::machinery::shell::files::FileTree;
use crate::node::runtime::{ContainerConfig, Id};

fn with(config: ContainerConfig, environment: &[(&str, &str)]) -> ContainerConfig {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ContainerConfig { environment, ..config }
}

/// Runs commands in a container, and tells what they print.
fn commands(world: &mut World, id: &Id, lines: &[&str]) -> String {
    lines.iter().map(|line| format!("$ {line}\n{}", world.exec(id, &["sh", "-c", line]))).collect()
}

/// Runs a server for some seconds, then commands beside it.
fn ask(config: ContainerConfig, seconds: f64, lines: &[&str], expect: Expect) {
    let mut world = World::new();
    let id = world.start(config);
    world.pass(seconds);
    expect.assert_eq(&commands(&mut world, &id, lines));
}

#[test]
fn redis_keeps_keys_of_every_kind() {
    ask(
        container("redis:8", &[]),
        1.0,
        &[
            "redis-cli set a 'x y'; redis-cli get a; redis-cli incr n; redis-cli incrby n 5; redis-cli incr a",
            "redis-cli rpush l 1 2 3; redis-cli lrange l 0 -1; redis-cli lpop l; redis-cli llen l",
            "redis-cli hset h f v; redis-cli hgetall h; redis-cli sadd s b a; redis-cli smembers s",
            "redis-cli zadd z 2 b 1 a; redis-cli zrange z 0 -1; redis-cli type z; redis-cli lpush z 1",
            "redis-cli setex e 1 soon; redis-cli ttl e; sleep 2; redis-cli ttl e; redis-cli keys '*'",
            "redis-cli config set maxmemory 2mb; redis-cli config get 'maxmemory*'; redis-cli foo; redis-cli get",
            "redis-cli -p 1 ping",
        ],
        expect![[r#"
            $ redis-cli set a 'x y'; redis-cli get a; redis-cli incr n; redis-cli incrby n 5; redis-cli incr a
            OK
            x y
            1
            6
            ERR value is not an integer or out of range
            $ redis-cli rpush l 1 2 3; redis-cli lrange l 0 -1; redis-cli lpop l; redis-cli llen l
            3
            1
            2
            3
            1
            2
            $ redis-cli hset h f v; redis-cli hgetall h; redis-cli sadd s b a; redis-cli smembers s
            1
            f
            v
            2
            a
            b
            $ redis-cli zadd z 2 b 1 a; redis-cli zrange z 0 -1; redis-cli type z; redis-cli lpush z 1
            2
            a
            b
            zset
            WRONGTYPE Operation against a key holding the wrong kind of value
            $ redis-cli setex e 1 soon; redis-cli ttl e; sleep 2; redis-cli ttl e; redis-cli keys '*'
            OK
            1
            -2
            a
            h
            l
            n
            s
            z
            $ redis-cli config set maxmemory 2mb; redis-cli config get 'maxmemory*'; redis-cli foo; redis-cli get
            OK
            maxmemory
            2097152
            maxmemory-policy
            noeviction
            maxmemory-samples
            5
            ERR unknown command 'foo', with args beginning with: 
            ERR wrong number of arguments for 'get' command
            $ redis-cli -p 1 ping
            Could not connect to Redis at 127.0.0.1:1: Connection refused
            exit 1
        "#]],
    );
}

#[test]
fn redis_reads_its_configuration_at_its_start() {
    let mut world = World::new();
    let mut files = FileTree::new();
    files.put("/redis.conf", b"maxmemory 2mb\nrequirepass secret\nappendonly yes\n", 0o644, world.now);
    world.runtime.put_volume("conf", files, world.now);
    world.runtime.put_volume("data", FileTree::new(), world.now);
    let config = ContainerConfig {
        mounts: vec![mount("/etc/redis", "conf", false), mount("/data", "data", false)],
        ..container("redis:8", &["redis-server", "/etc/redis/redis.conf"])
    };
    let first = world.start(config.clone());
    world.pass(1.0);
    let told = commands(&mut world, &first, &["redis-cli ping; redis-cli -a secret --no-auth-warning set k 1"]);
    world.runtime.kill_container(&first, 137, crate::node::runtime::EndReason::Error, world.now);
    let second = world.start(config);
    world.pass(1.0);
    let after = commands(&mut world, &second, &["REDISCLI_AUTH=secret redis-cli get k"]);
    expect![[r#"
        $ redis-cli ping; redis-cli -a secret --no-auth-warning set k 1
        NOAUTH Authentication required.
        OK
        $ REDISCLI_AUTH=secret redis-cli get k
        1
    "#]]
    .assert_eq(&(told + &after));
    let mut files = FileTree::new();
    files.put("/redis.conf", b"maxmemory 2mb\nmaxmemry 3\n", 0o644, world.now);
    world.runtime.put_volume("conf", files, world.now);
    let broken = world.start(ContainerConfig {
        mounts: vec![mount("/etc/redis", "conf", false)],
        ..container("redis:8", &["redis-server", "/etc/redis/redis.conf"])
    });
    world.pass(1.0);
    expect![[r#"
        [3.00s]
        ! 
        ! *** FATAL CONFIG FILE ERROR (Redis 8.2.3) ***
        ! Reading the configuration file, at line 2
        ! >>> 'maxmemry 3'
        ! Bad directive or wrong number of arguments
        1 Error
    "#]]
    .assert_eq(&format!("{}{}\n", world.log(&broken), world.end(&broken)));
}

#[test]
fn mysql_answers_and_remembers() {
    let mut world = World::new();
    let mut scripts = FileTree::new();
    scripts.put(
        "/init.sql",
        b"CREATE TABLE greetings (text VARCHAR(20));\nINSERT INTO greetings VALUES ('hello');\n",
        0o644,
        world.now,
    );
    world.runtime.put_volume("init", scripts, world.now);
    world.runtime.put_volume("data", FileTree::new(), world.now);
    let config = with(
        ContainerConfig {
            mounts: vec![mount("/docker-entrypoint-initdb.d", "init", true), mount("/var/lib/mysql", "data", false)],
            ..container("mysql:8.4", &[])
        },
        &[("MYSQL_ROOT_PASSWORD", "pw"), ("MYSQL_DATABASE", "shop"), ("MYSQL_USER", "ann"), ("MYSQL_PASSWORD", "a")],
    );
    let id = world.start(config.clone());
    world.pass(12.0);
    let told = commands(
        &mut world,
        &id,
        &[
            "mysql -uroot -e 'select 1'; mysql -uann -pa shop -e 'select * from greetings' 2>/dev/null",
            "export MYSQL_PWD=pw; mysql shop -t -e 'create table t (id int auto_increment primary key, name varchar(9) not null, n int default 3); insert into t (name) values (\"a\"), (\"b\"); update t set n = n + id where id > 1; select * from t order by id desc; delete from t where name = \"a\"; select count(*), max(n) from t'",
            "export MYSQL_PWD=pw; mysql -e 'select * from shop.nope'; mysql -e 'selec 1'; mysql -e 'insert into shop.t (name) values (null)'; mysql -N -e 'show tables from shop'; mysql -e 'show variables like \"server_id\"\\G'; mysql shop -e 'describe t'",
        ],
    );
    world.runtime.kill_container(&id, 137, crate::node::runtime::EndReason::Error, world.now);
    let id = world.start(config);
    world.pass(5.0);
    let after = commands(&mut world, &id, &["MYSQL_PWD=pw mysql shop -N -e 'select name, n from t'"]);
    expect![[r#"
        $ mysql -uroot -e 'select 1'; mysql -uann -pa shop -e 'select * from greetings' 2>/dev/null
        text
        hello
        ERROR 1045 (28000): Access denied for user 'root'@'localhost' (using password: NO)
        $ export MYSQL_PWD=pw; mysql shop -t -e 'create table t (id int auto_increment primary key, name varchar(9) not null, n int default 3); insert into t (name) values ("a"), ("b"); update t set n = n + id where id > 1; select * from t order by id desc; delete from t where name = "a"; select count(*), max(n) from t'
        +----+------+---+
        | id | name | n |
        +----+------+---+
        |  2 | b    | 5 |
        |  1 | a    | 3 |
        +----+------+---+
        +----------+--------+
        | count(*) | max(n) |
        +----------+--------+
        |        1 |      5 |
        +----------+--------+
        $ export MYSQL_PWD=pw; mysql -e 'select * from shop.nope'; mysql -e 'selec 1'; mysql -e 'insert into shop.t (name) values (null)'; mysql -N -e 'show tables from shop'; mysql -e 'show variables like "server_id"\G'; mysql shop -e 'describe t'
        greetings
        t
        *************************** 1. row ***************************
        Variable_name: server_id
                Value: 1
        Field	Type	Null	Key	Default	Extra
        id	int	NO	PRI	NULL	auto_increment
        name	varchar(9)	NO		NULL	
        n	int	YES		3	
        ERROR 1146 (42S02) at line 1: Table 'shop.nope' doesn't exist
        ERROR 1064 (42000) at line 1: You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version for the right syntax to use near 'selec 1' at line 1
        ERROR 1048 (23000) at line 1: Column 'name' cannot be null
        $ MYSQL_PWD=pw mysql shop -N -e 'select name, n from t'
        b	5
    "#]].assert_eq(&(told + &after));
}

#[test]
fn postgres_answers() {
    ask(
        with(container("postgres:16", &[]), &[("POSTGRES_PASSWORD", "pw"), ("POSTGRES_DB", "shop")]),
        5.0,
        &[
            "psql; psql -U postgres shop -c 'create table t (id serial primary key, name text not null, ok boolean default true)' -c \"insert into t (name) values ('a'), ('b')\" -c 'select * from t'",
            "psql -U postgres -d shop -tAc 'select name from t where id = 2'; psql -U postgres shop -c 'select nope from t'; psql -U postgres shop -c '\\dt'",
            "printf 'select 1 as one;\\nselect 2\\n+ 2 as sum;\\n' | psql -U postgres; psql -U postgres nope -c 'select 1'",
        ],
        expect![[r#"
            $ psql; psql -U postgres shop -c 'create table t (id serial primary key, name text not null, ok boolean default true)' -c "insert into t (name) values ('a'), ('b')" -c 'select * from t'
            CREATE TABLE
            INSERT 0 2
             id | name | ok 
            ----+------+----
              1 | a    | t
              2 | b    | t
            (2 rows)

            psql: error: connection to server on socket "/var/run/postgresql/.s.PGSQL.5432" failed: FATAL:  role "root" does not exist
            $ psql -U postgres -d shop -tAc 'select name from t where id = 2'; psql -U postgres shop -c 'select nope from t'; psql -U postgres shop -c '\dt'
            b
                    List of relations
             Schema | Name | Type  |  Owner   
            --------+------+-------+----------
             public | t    | table | postgres
            (1 row)

            ERROR:  column "nope" does not exist
            LINE 1: select nope from t;
                           ^
            $ printf 'select 1 as one;\nselect 2\n+ 2 as sum;\n' | psql -U postgres; psql -U postgres nope -c 'select 1'
             one 
            -----
               1
            (1 row)

             sum 
            -----
               4
            (1 row)

            psql: error: connection to server on socket "/var/run/postgresql/.s.PGSQL.5432" failed: FATAL:  database "nope" does not exist
            exit 2
        "#]],
    );
}

#[test]
fn mongo_and_rabbitmq_and_memcached() {
    ask(
        container("mongo:8", &[]),
        3.0,
        &[
            "mongosh --quiet --eval 'db.runCommand({ping: 1})'; mongosh --quiet shop --eval 'db.items.insertMany([{n: 1}, {n: 2, tags: [\"a\"]}]); db.items.updateOne({n: 1}, {$set: {name: \"one\"}}); db.items.find({n: {$lt: 2}}, {}).limit(1); db.items.countDocuments(); db.items.deleteMany({})'",
        ],
        expect![[r#"
            $ mongosh --quiet --eval 'db.runCommand({ping: 1})'; mongosh --quiet shop --eval 'db.items.insertMany([{n: 1}, {n: 2, tags: ["a"]}]); db.items.updateOne({n: 1}, {$set: {name: "one"}}); db.items.find({n: {$lt: 2}}, {}).limit(1); db.items.countDocuments(); db.items.deleteMany({})'
            { ok: 1 }
            {
              acknowledged: true,
              insertedIds: {
                0: ObjectId('6955b9033f2a91c0de000001'),
                1: ObjectId('6955b9033f2a91c0de000002')
              }
            }
            {
              acknowledged: true,
              insertedId: null,
              matchedCount: 1,
              modifiedCount: 1,
              upsertedCount: 0
            }
            [
              { _id: ObjectId('6955b9033f2a91c0de000001'), n: 1, name: 'one' }
            ]
            2
            {
              acknowledged: true,
              deletedCount: 2
            }
        "#]],
    );
    ask(
        container("rabbitmq:4", &[]),
        8.0,
        &["rabbitmqctl list_queues; rabbitmq-diagnostics ping; rabbitmqctl nope"],
        expect![[r#"
            $ rabbitmqctl list_queues; rabbitmq-diagnostics ping; rabbitmqctl nope
            Timeout: 60.0 seconds ...
            Listing queues for vhost / ...
            name	messages
            Will ping rabbit@web. This only checks if the OS process is running and registered with epmd. Timeout: 60000 ms.
            Ping succeeded
            Command 'nope' not found. 
            exit 1
        "#]],
    );
}

#[test]
fn packages_bring_commands() {
    ask(
        container("ubuntu", &["sleep", "infinity"]),
        0.0,
        &[
            "curl -s api; apt-get install -y curl; apt-get update > /dev/null && apt-get install -y curl redis-tools; curl -s http://api/x; redis-cli --version",
        ],
        expect![[r#"
            $ curl -s api; apt-get install -y curl; apt-get update > /dev/null && apt-get install -y curl redis-tools; curl -s http://api/x; redis-cli --version
            Reading package lists... Done
            Building dependency tree... Done
            Reading package lists... Done
            Building dependency tree... Done
            Reading state information... Done
            The following NEW packages will be installed:
              curl redis-tools
            0 upgraded, 2 newly installed, 0 to remove and 0 not upgraded.
            Setting up curl ...
            Setting up redis-tools ...
            api says /x from 10.244.1.5
            redis-cli 8.2.3
            sh: 1: curl: not found
            E: Unable to locate package curl
        "#]],
    );
    ask(
        container("alpine", &["sleep", "infinity"]),
        0.0,
        &["apk add --no-cache curl bash && bash -c 'curl -s http://api/x'", "apt-get update"],
        expect![[r#"
            $ apk add --no-cache curl bash && bash -c 'curl -s http://api/x'
            (1/2) Installing curl
            (2/2) Installing bash
            OK: 12 MiB in 18 packages
            api says /x from 10.244.1.5
            $ apt-get update
            sh: apt-get: not found
            exit 127
        "#]],
    );
}

#[test]
fn programs_can_be_moved_away() {
    ask(
        with(container("postgres:16", &[]), &[("POSTGRES_HOST_AUTH_METHOD", "trust")]),
        5.0,
        &[
            "mv /usr/bin/psql /usr/bin/psql.off; psql -U postgres -c 'select 1'; mv /usr/bin/psql.off /usr/bin/psql; psql -U postgres -tAc 'select 1'",
        ],
        expect![[r#"
            $ mv /usr/bin/psql /usr/bin/psql.off; psql -U postgres -c 'select 1'; mv /usr/bin/psql.off /usr/bin/psql; psql -U postgres -tAc 'select 1'
            1
            sh: 1: psql: not found
        "#]],
    );
}
