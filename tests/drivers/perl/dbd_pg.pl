#!/usr/bin/perl
# DBD::Pg: prints one line a check, "ok NAME: SEEN" or "FAILED NAME: WHY". A check has a connection of its own.
use strict;
use warnings;
use DBI;
use DBD::Pg qw(:pg_types :async);

use constant INV_READ_WRITE => 0x20000 | 0x40000;

$| = 1;
my @checks;

sub check { push @checks, [@_]; }

sub must { my ($ok, $what) = @_; die($what // 'condition') unless $ok; }

sub connection {
    my $dsn = "dbi:Pg:dbname=$ENV{PGDATABASE}";
    return DBI->connect($dsn, $ENV{PGUSER}, $ENV{PGPASSWORD},
        { RaiseError => 1, PrintError => 0, PrintWarn => 0, AutoCommit => 1, pg_server_prepare => 1 });
}

sub show {
    my ($v) = @_;
    return 'NULL' unless defined $v;
    return '[' . join(' ', map { show($_) } @$v) . ']' if ref $v;
    return $v;
}

sub rows { my ($c, $sql, @values) = @_; return $c->selectall_arrayref($sql, undef, @values); }

sub fails {
    my ($c, $sql, @values) = @_;
    eval { rows($c, $sql, @values); 1 } and die("no error: $sql");
    return join(',', $c->state, map { show($c->pg_error_field($_)) }
        qw(message_primary message_detail statement_position table_name column_name constraint_name source_function));
}

check types => sub {
    my ($c) = @_;
    open(my $in, '<', 'types.sql') or die;
    my $sql = join '', <$in>;
    my $row = rows($c, $sql)->[0];
    must(@$row == 30 && !defined $row->[25]);
    return show($row);
};

check parameters_of_all_kinds => sub {
    my ($c) = @_;
    my $s = $c->prepare('SELECT ?::int8, ?::float8, ?::text, ?::text, ?::bool, ?::bytea, ?::int4[], ?::jsonb');
    my @values = (1, -2.5, "t'xt", undef, 'true', "\0\xff", [1, undef, 3], '{"k": [1]}');
    for my $i (1 .. @values) {
        $i == 6 ? $s->bind_param($i, $values[$i - 1], { pg_type => PG_BYTEA }) : $s->bind_param($i, $values[$i - 1]);
    }
    $s->execute;
    my $row = $s->fetchrow_arrayref;
    must($row->[5] eq "\0\xff");
    my @seen = @$row;
    $seen[5] = unpack('H*', $seen[5]);
    return show(\@seen);
};

check errors_with_their_fields => sub {
    my ($c) = @_;
    $c->do("CREATE TEMP TABLE e (id int PRIMARY KEY, v text NOT NULL CHECK (v <> 'no'))");
    my @seen = map { fails($c, $_) } ('SELEC 1', 'SELECT nosuch', 'INSERT INTO e VALUES (2, NULL) RETURNING 1',
        "INSERT INTO e VALUES (3, 'no') RETURNING 1", 'SELECT 1/0', "SELECT 'x'::int");
    must($seen[1] =~ /^42703/, "@seen");
    return show(\@seen);
};

check cancel_of_a_running_statement => sub {
    my ($c) = @_;
    $c->do('SELECT pg_sleep(20)', { pg_async => PG_ASYNC });
    select(undef, undef, undef, 0.2);
    must($c->pg_cancel, 'not canceled');
    return show(rows($c, "SELECT 'goes on'"));
};

check asynchronous_query => sub {
    my ($c) = @_;
    my $s = $c->prepare("SELECT 'late' FROM pg_sleep(0.1)", { pg_async => PG_ASYNC });
    $s->execute;
    my $rows = $s->pg_result;
    return "$rows " . show($s->fetchall_arrayref);
};

check statement_timeout => sub {
    my ($c) = @_;
    $c->do('SET statement_timeout = 50');
    return fails($c, 'SELECT pg_sleep(20)');
};

check notices_and_notifications => sub {
    my ($c) = @_;
    my @seen;
    local $SIG{__WARN__} = sub { push @seen, $_[0] =~ s/\n/ /gr };
    $c->{PrintWarn} = 1;
    $c->do("DO \$\$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END \$\$");
    $c->do('LISTEN driver_news');
    my $other = connection();
    $other->do("NOTIFY driver_news, 'payload'");
    $other->disconnect;
    my $note;
    for (1 .. 100) { last if $note = $c->pg_notifies; select(undef, undef, undef, 0.05); }
    must($note, 'no notification');
    return show([@seen, $note->[0], $note->[2]]);
};

check copy_in_and_out => sub {
    my ($c) = @_;
    $c->do('CREATE TEMP TABLE c (id int, v text)');
    $c->do('COPY c FROM STDIN');
    $c->pg_putcopydata("$_\tv$_\n") for 0 .. 19999;
    $c->pg_putcopyend;
    $c->do('COPY c TO STDOUT');
    my ($bytes, $line) = (0, '');
    $bytes += length $line while $c->pg_getcopydata($line) >= 0;
    $c->do('COPY c FROM STDIN');
    my $failed = eval { $c->pg_putcopydata("x\ty\n") for 1 .. 1000; $c->pg_putcopyend; 1 } ? 'no error' : $c->state;
    must($failed eq '22P02', $failed);
    return "$bytes $failed " . show(rows($c, 'SELECT count(*) FROM c'));
};

check prepared_statements => sub {
    my ($c) = @_;
    my @seen;
    $c->{pg_switch_prepared} = 2;
    my $s = $c->prepare('SELECT ?::int + 1');
    for my $i (1 .. 8) { $s->execute($i); push @seen, $s->fetchrow_array; }
    push @seen, rows($c, "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'dbdpg%'")->[0][0];
    push @seen, show($s->{NUM_OF_PARAMS}), show($s->{pg_type});
    $c->do('DEALLOCATE ALL');
    eval { $s->execute(9) };
    push @seen, $c->state;
    must($seen[-1] eq '26000', "@seen");
    return show(\@seen);
};

check transactions_and_savepoints => sub {
    my ($c) = @_;
    $c->do('CREATE TEMP TABLE t (id int PRIMARY KEY)');
    $c->begin_work;
    $c->do('INSERT INTO t VALUES (1)');
    $c->pg_savepoint('a');
    my $failed = fails($c, 'INSERT INTO t VALUES (1) RETURNING id');
    my $aborted = fails($c, 'SELECT 1');
    $c->pg_rollback_to('a');
    $c->do('INSERT INTO t VALUES (2)');
    $c->commit;
    $c->begin_work;
    $c->do('INSERT INTO t VALUES (3)');
    $c->rollback;
    return "$failed $aborted " . $c->ping . show(rows($c, 'SELECT array_agg(id ORDER BY id)::text FROM t'));
};

check cursors => sub {
    my ($c) = @_;
    $c->begin_work;
    $c->do('DECLARE k SCROLL CURSOR FOR SELECT i FROM generate_series(1, 5000) i');
    my ($sum, $rows) = (0);
    while (@{ $rows = rows($c, 'FETCH 333 FROM k') }) { $sum += $_->[0] for @$rows; }
    my $back = rows($c, 'FETCH BACKWARD 3 FROM k');
    $c->commit;
    return "$sum " . show($back);
};

check large_objects => sub {
    my ($c) = @_;
    $c->begin_work;
    my $oid = $c->pg_lo_creat(INV_READ_WRITE);
    my $fd = $c->pg_lo_open($oid, INV_READ_WRITE);
    my $wrote = $c->pg_lo_write($fd, 'L' x 100000, 100000);
    $c->pg_lo_lseek($fd, 99990, 0);
    my $got = $c->pg_lo_read($fd, my $block, 100);
    $c->pg_lo_close($fd);
    $c->pg_lo_unlink($oid);
    $c->commit;
    return "$wrote $got $block";
};

check big_values_and_many_parameters => sub {
    my ($c) = @_;
    my $big = 'z' x 3000000;
    my $back = rows($c, "SELECT ?::text || 'e'", $big)->[0][0];
    must($back eq $big . 'e');
    my $marks = join ',', ('?::int') x 5000;
    return length($back) . show(rows($c, "SELECT cardinality(ARRAY[$marks])", 1 .. 5000));
};

check catalogs => sub {
    my ($c) = @_;
    $c->do("CREATE TABLE m (id int PRIMARY KEY, v varchar(5) DEFAULT 'x' NOT NULL)");
    my @columns = map { "$_->{COLUMN_NAME} $_->{TYPE_NAME} " . show($_->{COLUMN_DEF}) }
        @{ $c->column_info(undef, 'work', 'm', undef)->fetchall_arrayref({}) };
    my @key = $c->primary_key(undef, 'work', 'm');
    return show([@columns, @key]);
};

check migrating_table => sub {
    my ($c) = @_;
    my $s = $c->prepare('SELECT label, amount FROM kept WHERE id = ?');
    my @seen;
    for my $i (1 .. 40) { $s->execute($i); push @seen, [$s->fetchrow_array]; }
    $c->begin_work;
    push @seen, rows($c, 'UPDATE kept SET amount = amount + 1 WHERE id = ? RETURNING amount', 3)->[0];
    $c->rollback;
    return show(\@seen);
};

my $bad = 0;
for my $k (@checks) {
    my ($name, $code) = @$k;
    my $c = connection();
    my $seen = eval { $code->($c) };
    my $why = $@;
    $bad |= $why ne '';
    my $line = $why ne '' ? "FAILED $name: $why" : "ok $name: $seen";
    $line =~ s/\n/ \/ /g;
    print "$line\n";
    $c->disconnect;
}
exit $bad;
