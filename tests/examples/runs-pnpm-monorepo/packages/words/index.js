exports.greeting = "Hello from the monorepo";
