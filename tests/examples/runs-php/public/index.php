<?php

require __DIR__ . '/../vendor/autoload.php';

$routes = FastRoute\simpleDispatcher(function (FastRoute\RouteCollector $routes) {
    $routes->addRoute('GET', '/', [App\Greeting::class, 'text']);
});
[$found, $handler] = $routes->dispatch($_SERVER['REQUEST_METHOD'], strtok($_SERVER['REQUEST_URI'], '?')) + [null, null];
if ($found !== FastRoute\Dispatcher::FOUND) {
    http_response_code(404);
    exit("no such page\n");
}
header('Content-Type: text/plain');
echo $handler();
