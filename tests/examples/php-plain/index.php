<?php
$db = new mysqli("db", "app", "app", "app");
echo "hello";
