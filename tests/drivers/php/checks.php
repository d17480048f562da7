<?php
// Runs checks in order and prints one line for each. A check gets a connection of its own.

function must(bool $condition, string $what = 'condition'): void
{
    if (!$condition) {
        throw new RuntimeException($what);
    }
}

function run_checks(array $checks, callable $open): never
{
    $bad = 0;
    foreach ($checks as $name => $check) {
        try {
            $seen = json_encode($check($open()), JSON_UNESCAPED_UNICODE | JSON_INVALID_UTF8_SUBSTITUTE | JSON_THROW_ON_ERROR);
            echo "ok $name: $seen\n";
        } catch (Throwable $e) {
            $bad = 1;
            echo str_replace("\n", ' / ', "FAILED $name: " . get_class($e) . ': ' . $e->getMessage()), "\n";
        }
    }
    exit($bad);
}
