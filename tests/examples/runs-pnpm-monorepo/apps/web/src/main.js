document.querySelector("main").textContent += ", in JavaScript";
