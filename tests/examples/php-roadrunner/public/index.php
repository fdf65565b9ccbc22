<?php

require __DIR__ . '/../vendor/autoload.php';

$worker = new Spiral\RoadRunner\Http\PSR7Worker(
    Spiral\RoadRunner\Worker::create(),
    new Slim\Psr7\Factory\ServerRequestFactory(),
    new Slim\Psr7\Factory\StreamFactory(),
    new Slim\Psr7\Factory\UploadedFileFactory(),
);
$app = Slim\Factory\AppFactory::create();
while ($request = $worker->waitRequest()) {
    $worker->respond($app->handle($request));
}
