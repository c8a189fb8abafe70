export default [
  {
    files: ["**/*.js"],
    languageOptions: { ecmaVersion: 2023, sourceType: "module" },
    rules: {
      eqeqeq: "error",
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-var": "error",
      "no-unused-vars": "error",
      "no-shadow": "error",
      "prefer-const": "error",
      "no-restricted-properties": [
        "error",
        { property: "innerHTML", message: "text nodes only: user text must not be read as HTML" },
        { property: "outerHTML", message: "text nodes only: user text must not be read as HTML" },
        { property: "insertAdjacentHTML", message: "text nodes only: user text must not be read as HTML" },
      ],
    },
  },
];
