<?php

$server = new Swoole\Http\Server('0.0.0.0', 9000);
$server->on('request', fn ($request, $response) => $response->end('Hello'));
$server->start();
